/*
 * Status: to bytes and back, and bytes that are none.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "status/status.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

/* With everything that a status can have, each as long as it may be. */
static struct msn_status full(void)
{
	struct msn_status s;
	char longest[600], key[] = "key 0, as long as it is";

	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	msn_status_set(&s, MSN_CODE_OUT_OF_RANGE, longest, "%s", longest);
	memset(s.field, 'f', sizeof(s.field) - 1);
	s.retry_ms = UINT32_MAX;
	for (; key[4] < '0' + MSN_STATUS_NOTES_MAX; key[4]++)
		msn_status_note(&s, key, "%s", longest);
	return s;
}

static bool same_notes(const struct msn_status *a, const struct msn_status *b)
{
	for (size_t i = 0; i < a->note_count; i++)
		if (strcmp(a->notes[i].key, b->notes[i].key) != 0 ||
		    strcmp(a->notes[i].value, b->notes[i].value) != 0)
			return false;
	return a->note_count == b->note_count;
}

static bool comes_back(const struct msn_status *s)
{
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	struct msn_status back;
	size_t len;

	memset(&back, 0xff, sizeof(back));
	return msn_status_encode(s, &bytes, &len) == 0 &&
	       msn_status_decode(&back, bytes, len) == 0 &&
	       back.code == s->code && strcmp(back.text, s->text) == 0 &&
	       strcmp(back.reason, s->reason) == 0 &&
	       strcmp(back.field, s->field) == 0 &&
	       back.retry_ms == s->retry_ms && same_notes(&back, s);
}

static void a_status_comes_back_as_it_was(void)
{
	struct msn_status s = { 0 };

	EXPECT(comes_back(&s));
	msn_status_set(&s, MSN_CODE_ABORTED, "RACED", "gr\xc3\xbc\xc3\x9f");
	EXPECT(comes_back(&s));
	s.retry_ms = 1500;
	EXPECT(comes_back(&s));
	s = full();
	EXPECT(comes_back(&s));
}

static void only_the_details_that_there_are_are_sent(void)
{
	struct msn_status s;
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	Google__Rpc__Status *m;
	size_t len;

	msn_status_set(&s, MSN_CODE_NOT_FOUND, "SPACE_NOT_FOUND", "no space");
	CHECK(msn_status_encode(&s, &bytes, &len) == 0);
	m = google__rpc__status__unpack(NULL, len, bytes);
	CHECK(m);
	EXPECT(m->code == 5 && strcmp(m->message, "no space") == 0);
	CHECK(m->n_details == 1);
	EXPECT(strcmp(m->details[0]->type_url,
		      "type.googleapis.com/google.rpc.ErrorInfo") == 0);
	google__rpc__status__free_unpacked(m, NULL);
}

static void a_cut_status_is_refused_or_a_shorter_one(void)
{
	const struct msn_status s = full();
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	struct msn_status back;
	size_t len, refused = 0;

	CHECK(msn_status_encode(&s, &bytes, &len) == 0);
	for (size_t n = 0; n < len; n++) {
		msn_auto(msn_freep) uint8_t *cut = malloc(n ? n : 1);

		CHECK(cut);
		memcpy(cut, bytes, n);
		memset(&back, 0, sizeof(back));
		back.retry_ms = 77;
		if (msn_status_decode(&back, cut, n) == 0)
			continue;
		refused++;
		EXPECT(back.retry_ms == 77 && !back.text[0]);
	}
	EXPECT(refused > len - 10);
}

static int decode(struct msn_status *s, Google__Rpc__Status *m)
{
	uint8_t bytes[4096];
	size_t len = google__rpc__status__pack(m, bytes);

	return msn_status_decode(s, bytes, len);
}

static void a_code_that_is_none_is_unknown(void)
{
	Google__Rpc__Status m = GOOGLE__RPC__STATUS__INIT;
	struct msn_status s;

	m.code = 17;
	CHECK(decode(&s, &m) == 0);
	EXPECT(s.code == MSN_CODE_UNKNOWN);
	m.code = -1;
	CHECK(decode(&s, &m) == 0);
	EXPECT(s.code == MSN_CODE_UNKNOWN);
}

static void bad_text_is_made_clean(void)
{
	Google__Rpc__Status m = GOOGLE__RPC__STATUS__INIT;
	char bad[] = "a\xff\n\xe2\x82z";
	struct msn_status s;

	m.code = 3;
	m.message = bad;
	CHECK(decode(&s, &m) == 0);
	EXPECT(strcmp(s.text, "a????z") == 0);
}

/* A status with one detail of this type and these bytes. */
static int decode_detail(struct msn_status *s, const char *type,
			 const void *bytes, size_t len)
{
	Google__Rpc__Status m = GOOGLE__RPC__STATUS__INIT;
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	Google__Protobuf__Any *list[] = { &any };

	any.type_url = (char *)(uintptr_t)type;
	any.value.data = (uint8_t *)(uintptr_t)bytes;
	any.value.len = len;
	m.code = 9;
	m.n_details = 1;
	m.details = list;
	return decode(s, &m);
}

static void details_that_are_not_known_are_passed_over(void)
{
	struct msn_status s;

	CHECK(decode_detail(&s, "type.googleapis.com/a.B", "\1\2\3", 3) == 0);
	EXPECT(s.code == 9 && !s.reason[0] && s.note_count == 0);
	CHECK(decode_detail(&s, "google.rpc.ErrorInfo", "", 0) == 0);
	/* One that is known and is broken. */
	CHECK(decode_detail(&s, "x/google.rpc.ErrorInfo", "\x0a\x7f", 2) == 0);
	EXPECT(s.code == 9 && !s.reason[0]);
}

static void reasons_of_others_are_not_ours(void)
{
	Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
	char reason[] = "X", other[] = "other.example", own[] = "memsnap";
	uint8_t bytes[64];
	struct msn_status s;

	info.reason = reason;
	info.domain = other;
	CHECK(decode_detail(&s, "x/google.rpc.ErrorInfo", bytes,
			    google__rpc__error_info__pack(&info, bytes)) == 0);
	EXPECT(!s.reason[0]);
	info.domain = own;
	CHECK(decode_detail(&s, "x/google.rpc.ErrorInfo", bytes,
			    google__rpc__error_info__pack(&info, bytes)) == 0);
	EXPECT(strcmp(s.reason, "X") == 0);
}

static uint32_t retry_of(int64_t seconds, int32_t nanos)
{
	Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
	Google__Protobuf__Duration d = GOOGLE__PROTOBUF__DURATION__INIT;
	uint8_t bytes[64];
	struct msn_status s;

	d.seconds = seconds;
	d.nanos = nanos;
	retry.retry_delay = &d;
	CHECK(decode_detail(&s, "x/google.rpc.RetryInfo", bytes,
			    google__rpc__retry_info__pack(&retry, bytes)) == 0);
	return s.retry_ms;
}

static void a_delay_stays_within_its_bounds(void)
{
	EXPECT(retry_of(1, 2000000) == 1002);
	EXPECT(retry_of(INT64_MAX, 0) == UINT32_MAX);
	EXPECT(retry_of(-1, 0) == 0);
	EXPECT(retry_of(0, -5) == 0);
	EXPECT(retry_of(0, INT32_MAX) == 0);
}

static void a_flood_of_details_is_refused(void)
{
	static uint8_t bytes[64 << 10];
	struct msn_status s = { .retry_ms = 77 };

	for (size_t i = 0; i < sizeof(bytes); i += 2) {
		bytes[i] = 3 << 3 | 2;
		bytes[i + 1] = 0;
	}
	EXPECT(msn_status_decode(&s, bytes, sizeof(bytes)) == -EBADMSG);
	EXPECT(s.retry_ms == 77);
}

static bool whole(const struct msn_status *s)
{
	return (unsigned)s->code <= MSN_CODE_UNAUTHENTICATED &&
	       memchr(s->text, 0, sizeof(s->text)) &&
	       memchr(s->reason, 0, sizeof(s->reason)) &&
	       memchr(s->field, 0, sizeof(s->field)) &&
	       s->note_count <= MSN_STATUS_NOTES_MAX && comes_back(s);
}

static void any_bytes_are_refused_or_a_whole_status(void)
{
	uint64_t rng = check_seed();
	const struct msn_status s = full();
	msn_auto(msn_freep) uint8_t *bytes = NULL;
	unsigned taken = 0;
	size_t len;

	CHECK(msn_status_encode(&s, &bytes, &len) == 0);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t was[4];
		size_t at[4];
		struct msn_status back = { 0 };

		for (unsigned j = 0; j < 4; j++) {
			at[j] = msn_rand_next(&rng) % len;
			was[j] = bytes[at[j]];
			bytes[at[j]] = (uint8_t)msn_rand_next(&rng);
		}
		if (msn_status_decode(&back, bytes, len) == 0) {
			taken++;
			CHECK(whole(&back));
		}
		for (unsigned j = 4; j-- > 0;)
			bytes[at[j]] = was[j];
	}
	EXPECT(taken > 0);
}

static void *prepare(void)
{
	static struct msn_status s;

	s = full();
	return &s;
}

static int body(void *state)
{
	uint8_t *bytes;
	size_t len;
	int rc = msn_status_encode(state, &bytes, &len);

	if (rc == 0)
		free(bytes);
	return rc;
}

static void verify(void *state, int rc, const char *name)
{
	(void)state;
	EXPECT(rc == (name ? -ENOMEM : 0));
}

static void running_out_of_memory_is_an_error(void)
{
	EXPECT(check_every_fault(prepare, body, verify) == 1);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_status_comes_back_as_it_was),
		CHECK_TEST(only_the_details_that_there_are_are_sent),
		CHECK_TEST(a_cut_status_is_refused_or_a_shorter_one),
		CHECK_TEST(a_code_that_is_none_is_unknown),
		CHECK_TEST(bad_text_is_made_clean),
		CHECK_TEST(details_that_are_not_known_are_passed_over),
		CHECK_TEST(reasons_of_others_are_not_ours),
		CHECK_TEST(a_delay_stays_within_its_bounds),
		CHECK_TEST(a_flood_of_details_is_refused),
		CHECK_TEST(any_bytes_are_refused_or_a_whole_status),
		CHECK_TEST(running_out_of_memory_is_an_error),
		{}
	};

	return check_main(argc, argv, "status details", tests);
}
