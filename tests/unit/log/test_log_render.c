/*
 * Log lines: whatever bytes a field has, it stays one field of one line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/rand.h"
#include "log/render.h"
#include "reader.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

static const enum msn_log_format formats[] = { MSN_LOG_LOGFMT, MSN_LOG_JSON };

static struct event event_of(const struct msn_log_field *fields, size_t count)
{
	return (struct event){
		.time_ns = INT64_C(1709209799) * 1000000000 + 1234567,
		.level = MSN_LOG_WARNING,
		.component = "auth",
		.id = "auth.refused",
		.text = "caller refused",
		.fields = fields,
		.count = count,
	};
}

/* One whole line, and nothing in it that a terminal or a reader would act on.
 */
static void check_one_line(const struct line *l)
{
	CHECK(l->len > 1 && l->len <= MSN_LOG_LINE_MAX);
	CHECK(l->bytes[l->len - 1] == '\n');
	for (size_t i = 0; i + 1 < l->len; i++)
		CHECK((unsigned char)l->bytes[i] >= 0x20 &&
		      l->bytes[i] != 0x7f);
}

static json_t *read_line(const struct line *l, enum msn_log_format format)
{
	json_t *read = (format == MSN_LOG_JSON ? read_json : read_logfmt)(
		l->bytes, l->len - 1);

	CHECK(read);
	return read;
}

static void lines_look_as_documented(void)
{
	const struct msn_log_field fields[] = {
		msn_log_text("owner", "uid:1000"),
		msn_log_text("path", "/srv/two words"),
		msn_log_unsigned("bytes", UINT64_MAX),
		msn_log_signed("shift", INT64_MIN),
		msn_log_hex("address", 0x7fff0000),
		msn_log_seconds("duration", 1000234567),
		msn_log_text("space", ""),
		msn_log_text("snapshot", NULL),
		msn_log_errno(0),
		msn_log_errno(-ENOENT),
	};
	struct event e = event_of(fields, MSN_ARRAY_LEN(fields));
	static const char logfmt[] =
		"ts=2024-02-29T12:29:59.001234Z level=warning component=auth "
		"id=auth.refused msg=\"caller refused\" dropped=3 "
		"owner=uid:1000 path=\"/srv/two words\" "
		"bytes=18446744073709551615 shift=-9223372036854775808 "
		"address=0x7fff0000 duration=1.000234 errno=ENOENT\n";
	static const char json[] =
		"{\"ts\":\"2024-02-29T12:29:59.001234Z\","
		"\"level\":\"warning\",\"component\":\"auth\","
		"\"id\":\"auth.refused\",\"msg\":\"caller refused\","
		"\"dropped\":3,\"owner\":\"uid:1000\","
		"\"path\":\"/srv/two words\",\"bytes\":18446744073709551615,"
		"\"shift\":-9223372036854775808,\"address\":\"0x7fff0000\","
		"\"duration\":1.000234,\"errno\":\"ENOENT\"}\n";
	struct line l;

	e.dropped = 3;
	msn_log_render(&l, &e, MSN_LOG_LOGFMT);
	EXPECT(l.len == strlen(logfmt) && !memcmp(l.bytes, logfmt, l.len));
	msn_log_render(&l, &e, MSN_LOG_JSON);
	EXPECT(l.len == strlen(json) && !memcmp(l.bytes, json, l.len));
}

static void times_are_right_across_leap_days(void)
{
	static const struct {
		int64_t s;
		const char *text;
	} times[] = {
		{ 0, "1970-01-01T00:00:00.000000Z" },
		{ 951782400, "2000-02-29T00:00:00.000000Z" },
		{ 951868799, "2000-02-29T23:59:59.000000Z" },
		{ 951868800, "2000-03-01T00:00:00.000000Z" },
		{ 1735689599, "2024-12-31T23:59:59.000000Z" },
		{ 4107542400, "2100-03-01T00:00:00.000000Z" },
	};
	struct event e = event_of(NULL, 0);

	for (size_t i = 0; i < MSN_ARRAY_LEN(times); i++) {
		struct line l;
		json_t *read;

		e.time_ns = times[i].s * 1000000000;
		msn_log_render(&l, &e, MSN_LOG_JSON);
		read = read_line(&l, MSN_LOG_JSON);
		EXPECT(strcmp(field(read, "ts"), times[i].text) == 0);
		json_decref(read);
	}
}

/* Renders @bytes as field "why"; is it read back as it should be? */
static void check_value(const char *bytes, size_t len,
			enum msn_log_format format)
{
	const struct msn_log_field fields[] = {
		{ .key = "why",
		  .kind = MSN_LOG_TEXT,
		  .len = len,
		  { .text = bytes } },
		msn_log_text("owner", "uid:1"),
	};
	struct event e = event_of(fields, MSN_ARRAY_LEN(fields));
	struct line l;
	size_t shown_len;
	char *shown = as_shown(bytes, len, &shown_len);
	const json_t *why;
	json_t *read;

	msn_log_render(&l, &e, format);
	check_one_line(&l);
	read = read_line(&l, format);
	why = json_object_get(read, "why");
	CHECK(json_object_size(read) == 7 && why);
	EXPECT(json_string_length(why) == shown_len &&
	       !memcmp(json_string_value(why), shown, shown_len));
	EXPECT(strcmp(field(read, "owner"), "uid:1") == 0);
	json_decref(read);
	free(shown);
}

static void no_text_breaks_a_line_or_forges_a_field(void)
{
	static const char *const texts[] = {
		"\n",
		"x\nts=2024 level=error msg=forged",
		"x\" owner=root",
		"x\",\"owner\":\"root",
		"\\",
		"\\\" owner=uid:0 \\",
		"owner=uid:0",
		" ",
		"\r\v\f\b\t\x01\x1b[2J\x7f",
		("\xc2\x9b"
		 "31m"),
		"\xe2\x80\xa8line\xe2\x80\xa9",
		"\xe2\x80\xaetxt.exe",
		"\xef\xbb\xbf",
		"\xff\xfe\xc0\xaf\xed\xa0\x80",
		"caf\xc3\xa9 \xf0\x9f\x98\x80",
		"\xf3\xa0\x81\x81tag",
	};

	for (size_t f = 0; f < MSN_ARRAY_LEN(formats); f++) {
		for (size_t i = 0; i < MSN_ARRAY_LEN(texts); i++)
			check_value(texts[i], strlen(texts[i]), formats[f]);
		check_value("a\0b", 3, formats[f]);
	}
}

static void what_a_terminal_would_act_on_is_escaped(void)
{
	static const char *const texts[] = { "\xc2\x9b", "\xe2\x80\xa8",
					     "\xe2\x80\xae", "\xe2\x81\xa6",
					     "\xef\xbb\xbf" };

	for (size_t i = 0; i < MSN_ARRAY_LEN(texts); i++) {
		const struct msn_log_field f = msn_log_text("why", texts[i]);
		struct event e = event_of(&f, 1);
		struct line l;

		msn_log_render(&l, &e, MSN_LOG_LOGFMT);
		EXPECT(!memmem(l.bytes, l.len, texts[i], strlen(texts[i])));
		EXPECT(memmem(l.bytes, l.len, "why=\"\\u", 7));
	}
}

static void random_bytes_come_back(void)
{
	uint64_t seed = check_seed();
	/* Mostly bytes that mean something to somebody. */
	static const char odd[] = "\"\\\n\r\t =:,{}[]\x1b\x7f\x80\xc3\xe2\xed"
				  "\xf0\x9f\x98\xa8\0u0";

	for (int turn = 0; turn < 20000; turn++) {
		char bytes[200];
		size_t len = msn_rand_next(&seed) % sizeof(bytes);

		for (size_t i = 0; i < len; i++) {
			uint64_t r = msn_rand_next(&seed);

			bytes[i] = r & 1 ? (char)(r >> 8)
					 : odd[(r >> 8) % sizeof(odd)];
		}
		check_value(bytes, len, formats[turn % 2]);
	}
}

static void a_long_text_ends_in_dots_at_a_character(void)
{
	char text[MSN_LOG_VALUE_MAX + 100];
	struct msn_log_field f;

	/* Characters of two bytes; one lies across the bound. */
	text[0] = 'x';
	for (size_t i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	text[sizeof(text) - 2] = text[sizeof(text) - 1] = '\0';
	f = msn_log_text("why", text);
	for (size_t i = 0; i < MSN_ARRAY_LEN(formats); i++) {
		struct event e = event_of(&f, 1);
		struct line l;
		json_t *read;
		const char *why;

		msn_log_render(&l, &e, formats[i]);
		read = read_line(&l, formats[i]);
		why = field(read, "why");
		CHECK(strlen(why) == MSN_LOG_VALUE_MAX + 1 + 3);
		EXPECT(!memcmp(why, text, MSN_LOG_VALUE_MAX + 1));
		EXPECT(strcmp(why + MSN_LOG_VALUE_MAX + 1, "...") == 0);
		json_decref(read);
	}
}

static void a_field_that_does_not_fit_is_left_out_whole(void)
{
	char worst[MSN_LOG_VALUE_MAX + 1];
	struct msn_log_field fields[12];

	memset(worst, 1, sizeof(worst)); /* each becomes 6 bytes */
	worst[MSN_LOG_VALUE_MAX] = '\0';
	for (size_t i = 0; i < MSN_ARRAY_LEN(fields) - 1; i++) {
		static const char *const keys[] = { "a", "b", "c", "d",
						    "e", "f", "g", "h",
						    "i", "j", "k" };

		fields[i] = msn_log_text(keys[i], worst);
	}
	fields[11] = msn_log_text("owner", "uid:1000");
	for (size_t i = 0; i < MSN_ARRAY_LEN(formats); i++) {
		struct event e = event_of(fields, MSN_ARRAY_LEN(fields));
		struct line l;
		json_t *read;

		msn_log_render(&l, &e, formats[i]);
		check_one_line(&l);
		read = read_line(&l, formats[i]);
		EXPECT(strlen(field(read, "a")) == MSN_LOG_VALUE_MAX);
		EXPECT(!json_object_get(read, "b"));
		/* Later ones that fit are there. */
		EXPECT(strcmp(field(read, "owner"), "uid:1000") == 0);
		EXPECT(json_object_get(read, "cut"));
		json_decref(read);
	}
}

static void an_unknown_errno_is_a_number(void)
{
	const struct msn_log_field f = msn_log_errno(-4095);
	struct event e = event_of(&f, 1);
	struct line l;
	json_t *read;

	msn_log_render(&l, &e, MSN_LOG_LOGFMT);
	read = read_line(&l, MSN_LOG_LOGFMT);
	EXPECT(strcmp(field(read, "errno"), "4095") == 0);
	json_decref(read);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(lines_look_as_documented),
		CHECK_TEST(times_are_right_across_leap_days),
		CHECK_TEST(no_text_breaks_a_line_or_forges_a_field),
		CHECK_TEST(what_a_terminal_would_act_on_is_escaped),
		CHECK_TEST(random_bytes_come_back),
		CHECK_TEST(a_long_text_ends_in_dots_at_a_character),
		CHECK_TEST(a_field_that_does_not_fit_is_left_out_whole),
		CHECK_TEST(an_unknown_errno_is_a_number),
		{}
	};

	return check_main(argc, argv, "log_render", tests);
}
