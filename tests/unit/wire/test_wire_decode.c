/*
 * Requests into messages: what protobuf-c does not look at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "support/check.h"
#include "wire/call.h"
#include "wire/decode.h"
#include "wire/pbread.h"
#include "wire_test.pb-c.h"

#include <errno.h>
#include <string.h>

typedef Memsnap__Test__EchoRequest EchoRequest;
typedef Memsnap__Test__Inner Inner;

#define TYPE (&memsnap__test__echo_request__descriptor)

struct decoded {
	struct budget all, budget;
	struct arena arena;
	struct msn_status why;
	const ProtobufCMessage *message;
	int rc;
};

static void decode(struct decoded *d, const void *data, size_t len)
{
	*d = (struct decoded){ .all.limit = 64 << 20,
			       .budget.limit = 32 << 20 };
	d->budget.of_all = &d->all;
	arena_init(&d->arena, MSN_CALL_ARENA_BASE + MSN_CALL_ARENA_FACTOR * len,
		   NULL, 0);
	d->arena.budget = &d->budget;
	d->rc = message_decode(&d->message, TYPE, &d->arena, data, len,
			       &d->why);
}

static void done(struct decoded *d)
{
	arena_deinit(&d->arena);
	EXPECT(budget_used(&d->budget) == 0 && budget_used(&d->all) == 0);
}

static size_t pack(const EchoRequest *e, uint8_t **out)
{
	size_t len = protobuf_c_message_get_packed_size(&e->base);

	*out = malloc(len + 1);
	CHECK(*out);
	return protobuf_c_message_pack(&e->base, *out);
}

static void decode_message(struct decoded *d, const EchoRequest *e)
{
	uint8_t *bytes;
	size_t len = pack(e, &bytes);

	decode(d, bytes, len);
	free(bytes);
}

static void an_honest_message_comes_out_whole(void)
{
	EchoRequest e = MEMSNAP__TEST__ECHO_REQUEST__INIT;
	Inner inner = MEMSNAP__TEST__INNER__INIT,
	      *inners[] = { &inner, &inner };
	char *names[] = { "a", "", "\xc3\xa4" };
	const EchoRequest *got;
	struct decoded d;

	inner.name = "inside";
	e.text = "text";
	e.data = (ProtobufCBinaryData){ 3, (uint8_t *)"\0\xff"
						      "b" };
	e.names = names;
	e.n_names = 3;
	e.inner = &inner;
	e.inners = inners;
	e.n_inners = 2;
	e.choice_case = MEMSNAP__TEST__ECHO_REQUEST__CHOICE_NUMBER;
	e.number = 7;
	decode_message(&d, &e);
	CHECK(d.rc == 0);
	got = (const void *)d.message;
	EXPECT(strcmp(got->text, "text") == 0);
	EXPECT(got->data.len == 3 && memcmp(got->data.data,
					    "\0\xff"
					    "b",
					    3) == 0);
	EXPECT(got->n_names == 3 && strcmp(got->names[2], "\xc3\xa4") == 0);
	EXPECT(strcmp(got->inner->name, "inside") == 0 && got->n_inners == 2);
	EXPECT(got->number == 7 && strcmp(got->key, "") == 0);
	done(&d);
}

/* ---- texts that are none ------------------------------------------------- */

static void expect_field(const EchoRequest *e, const char *field,
			 const char *what)
{
	struct decoded d;

	decode_message(&d, e);
	EXPECT(d.rc == -EINVAL && d.why.code == MSN_CODE_INVALID_ARGUMENT);
	EXPECT(strcmp(d.why.reason, "INVALID_FIELD") == 0);
	EXPECT(strcmp(d.why.field, field) == 0);
	EXPECT(strstr(d.why.text, what) != NULL);
	done(&d);
}

static void every_text_must_be_utf8(void)
{
	EchoRequest e = MEMSNAP__TEST__ECHO_REQUEST__INIT;
	Inner inner = MEMSNAP__TEST__INNER__INIT, ok = inner;
	Inner *inners[] = { &ok, &inner };
	char *names[] = { "good", "\xc3" };

	e.text = "\xff";
	expect_field(&e, "text", "UTF-8");
	e.text = "";
	e.names = names;
	e.n_names = 2;
	expect_field(&e, "names", "UTF-8");
	e.n_names = 0;
	inner.name = "\x80";
	e.inner = &inner;
	expect_field(&e, "inner.name", "UTF-8");
	e.inner = NULL;
	e.inners = inners;
	e.n_inners = 2;
	expect_field(&e, "inners.name", "UTF-8");
	inner.name = "";
	inner.more = names;
	inner.n_more = 2;
	expect_field(&e, "inners.more", "UTF-8");
	e.n_inners = 0;
	e.choice_case = MEMSNAP__TEST__ECHO_REQUEST__CHOICE_WORD;
	e.word = "\xed\xa0\x80";
	expect_field(&e, "word", "UTF-8");
}

/* A field of bytes: number, then text; protobuf-c cannot write a zero. */
static size_t put(uint8_t *at, unsigned number, const void *text, size_t len)
{
	at[0] = (uint8_t)(number << 3 | 2);
	at[1] = (uint8_t)len;
	memcpy(at + 2, text, len);
	return len + 2;
}

static void no_text_holds_a_zero_byte(void)
{
	static const struct {
		const char *text;
		size_t len;
		bool ok;
	} cases[] = { { "a\0b", 3, false },
		      { "\0", 1, false },
		      { "a\0", 2, false },
		      { "ab", 2, true },
		      { "", 0, true } };
	struct decoded d;
	uint8_t bytes[64], inner[32];
	size_t n;

	for (size_t i = 0; i < MSN_ARRAY_LEN(cases); i++) {
		decode(&d, bytes, put(bytes, 1, cases[i].text, cases[i].len));
		EXPECT((d.rc == 0) == cases[i].ok);
		EXPECT(d.rc == 0 || strcmp(d.why.field, "text") == 0);
		EXPECT(d.rc == 0 || strstr(d.why.text, "zero byte"));
		done(&d);
		n = put(inner, 2, cases[i].text, cases[i].len);
		decode(&d, bytes, put(bytes, 4, inner, n));
		EXPECT((d.rc == 0) == cases[i].ok);
		EXPECT(d.rc == 0 || strcmp(d.why.field, "inner.more") == 0);
		done(&d);
	}
}

/* The last of a oneof counts, and what it replaced is not looked at. */
static void the_other_case_of_a_oneof_is_no_text(void)
{
	uint8_t bytes[64];
	struct decoded d;
	size_t n = put(bytes, 6, "word", 4);

	bytes[n++] = 7 << 3; /* number */
	bytes[n++] = 0x7f;
	decode(&d, bytes, n);
	CHECK(d.rc == 0);
	EXPECT(((const EchoRequest *)(const void *)d.message)->number == 0x7f);
	done(&d);
}

/* ---- bytes that are no message ------------------------------------------- */

static void what_is_no_message_is_refused(void)
{
	static const char *const bad[] = { "\x0a",
					   "\x0a\x05"
					   "abc",
					   "\x0f",
					   "\x38\xff\xff\xff\xff\xff\xff\xff"
					   "\xff\xff\xff\xff" };
	struct decoded d;

	for (size_t i = 0; i < MSN_ARRAY_LEN(bad); i++) {
		decode(&d, bad[i], strlen(bad[i]));
		EXPECT(d.rc == -EINVAL && d.why.code == MSN_CODE_INTERNAL);
		EXPECT(strcmp(d.why.reason, "UNDECODABLE") == 0);
		done(&d);
	}
}

/* 4 MiB of empty messages would take 300 MiB. */
static void a_message_that_swells_is_refused(void)
{
	size_t len = MSN_MESSAGE_BYTES_MAX;
	uint8_t *bytes = malloc(len);
	struct decoded d;

	CHECK(bytes);
	for (size_t i = 0; i < len; i += 2) {
		bytes[i] = 5 << 3 | 2;
		bytes[i + 1] = 0;
	}
	decode(&d, bytes, len);
	EXPECT(d.rc == -EINVAL && d.why.code == MSN_CODE_RESOURCE_EXHAUSTED);
	EXPECT(strcmp(d.why.reason, "BUDGET") == 0);
	done(&d);
	/* As many fields that nobody knows. */
	for (size_t i = 0; i < len; i += 2) {
		bytes[i] = 14 << 3;
		bytes[i + 1] = 1;
	}
	decode(&d, bytes, len);
	EXPECT(d.rc == -EINVAL && d.why.code == MSN_CODE_RESOURCE_EXHAUSTED);
	done(&d);
	free(bytes);
}

/* ---- arena --------------------------------------------------------------- */

static void an_arena_gives_what_it_may_and_no_more(void)
{
	_Alignas(8) uint8_t first[64];
	struct arena a;
	char *one, *two;

	arena_init(&a, 4096, first, sizeof(first));
	one = arena_alloc(&a, 13);
	two = arena_alloc(&a, 5);
	CHECK(one && two);
	EXPECT((uint8_t *)one >= first && (uint8_t *)two < first + 64);
	EXPECT((uintptr_t)one % 8 == 0 && (uintptr_t)two % 8 == 0);
	EXPECT(arena_size(one) == 13 && arena_size(two) == 5);
	EXPECT(arena_alloc(&a, 200) && !a.refused); /* a chunk */
	EXPECT(!arena_alloc(&a, 4000) && a.refused);
	EXPECT(!arena_alloc(&a, SIZE_MAX) && !arena_alloc(&a, SIZE_MAX - 15));
	arena_reset(&a, 100);
	EXPECT(!a.refused && arena_alloc(&a, 80) && !arena_alloc(&a, 80));
	arena_deinit(&a);
}

static void an_arena_is_charged_to_its_owner(void)
{
	struct budget all = { .limit = 1 << 20 };
	struct budget one = { .limit = 16384, .of_all = &all };
	struct budget other = { .limit = 16384, .of_all = &all };
	struct arena a;

	arena_init(&a, SIZE_MAX / 4, NULL, 0);
	a.budget = &one;
	EXPECT(arena_alloc(&a, 1000) && budget_used(&one) == 4096);
	EXPECT(arena_alloc(&a, 6000) && budget_used(&one) == 4096 + 8192);
	EXPECT(!arena_alloc(&a, 6000)); /* 24576 */
	arena_set_budget(&a, &other);
	EXPECT(budget_used(&one) == 0 && budget_used(&other) == 12288);
	EXPECT(budget_used(&all) == 12288);
	arena_deinit(&a);
	EXPECT(budget_used(&other) == 0 && budget_used(&all) == 0);
}

/* ---- pbread -------------------------------------------------------------- */

static unsigned fields_of(const char *bytes, size_t len, bool *bad)
{
	struct pb pb = pb_of(bytes, len);
	struct pb_field f;
	unsigned n = 0;

	while (pb_next(&pb, &f))
		n++;
	*bad = pb.bad;
	return n;
}

static void fields_are_read_one_by_one(void)
{
	bool bad;

	EXPECT(fields_of("\x08\x96\x01\x12\x02hi\x1d\1\2\3\4\x21"
			 "12345678",
			 3 + 4 + 5 + 9, &bad) == 4);
	EXPECT(!bad);
	EXPECT(fields_of("", 0, &bad) == 0 && !bad);
	EXPECT(fields_of("\x08", 1, &bad) == 0 && bad);
	EXPECT(fields_of("\x00\x01", 2, &bad) == 0 && bad); /* number 0 */
	EXPECT(fields_of("\x0b\x0c", 2, &bad) == 0 && bad); /* a group */
	EXPECT(fields_of("\x12\x03hi", 4, &bad) == 0 && bad);
	EXPECT(fields_of("\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11,
			 &bad) == 0 &&
	       bad);
	EXPECT(fields_of("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12,
			 &bad) == 0 &&
	       bad);
	EXPECT(fields_of("\x21"
			 "1234567",
			 8, &bad) == 0 &&
	       bad);
}

/* ---- failures ------------------------------------------------------------ */

static struct decoded walked;

static void *fault_prepare(void)
{
	walked = (struct decoded){ 0 };
	return &walked;
}

static int fault_body(void *state)
{
	struct decoded *d = state;
	EchoRequest e = MEMSNAP__TEST__ECHO_REQUEST__INIT;
	uint8_t big[6000] = { 1 }, *bytes;
	size_t len;

	e.text = "text";
	e.data = (ProtobufCBinaryData){ sizeof(big), big };
	len = pack(&e, &bytes);
	decode(d, bytes, len);
	free(bytes);
	return d->rc;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct decoded *d = state;

	EXPECT(name ? rc == -EINVAL &&
			       d->why.code == MSN_CODE_RESOURCE_EXHAUSTED
		    : rc == 0);
	done(d);
}

static void without_memory_a_message_is_refused(void)
{
	EXPECT(check_every_fault(fault_prepare, fault_body, fault_verify) == 2);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(an_honest_message_comes_out_whole),
		CHECK_TEST(every_text_must_be_utf8),
		CHECK_TEST(no_text_holds_a_zero_byte),
		CHECK_TEST(the_other_case_of_a_oneof_is_no_text),
		CHECK_TEST(what_is_no_message_is_refused),
		CHECK_TEST(a_message_that_swells_is_refused),
		CHECK_TEST(an_arena_gives_what_it_may_and_no_more),
		CHECK_TEST(an_arena_is_charged_to_its_owner),
		CHECK_TEST(fields_are_read_one_by_one),
		CHECK_TEST(without_memory_a_message_is_refused),
		{}
	};

	return check_main(argc, argv, "wire: decode", tests);
}
