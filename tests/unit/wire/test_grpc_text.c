/*
 * gRPC's headers: texts that are read, written, and refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "wire/grpc_text.h"

#include "base/rand.h"
#include "support/check.h"

#include <string.h>

static uint64_t timeout(const char *text)
{
	uint64_t ns;

	return grpc_timeout_parse(text, strlen(text), &ns) ? ns : 4711;
}

static void a_timeout_is_read_in_every_unit(void)
{
	EXPECT(timeout("1n") == 1);
	EXPECT(timeout("20u") == 20000);
	EXPECT(timeout("300m") == 300000000);
	EXPECT(timeout("4S") == UINT64_C(4000000000));
	EXPECT(timeout("5M") == UINT64_C(300000000000));
	EXPECT(timeout("6H") == UINT64_C(21600000000000));
	EXPECT(timeout("0n") == 0);
	EXPECT(timeout("00000012n") == 12);
	EXPECT(timeout("99999999H") == UINT64_MAX);
}

static void what_is_no_timeout_is_refused(void)
{
	static const char *const bad[] = { "",	 "1",	"n",   "123456789n",
					   "1x", "-1n", "1 n", "1.5S",
					   "1s", "1nn", "+1n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT(timeout(bad[i]) == 4711);
}

static void a_timeout_is_written_no_shorter(void)
{
	static const uint64_t some[] = { 0,
					 1,
					 99999999,
					 100000000,
					 UINT64_C(123456789012345),
					 UINT64_C(1) << 62,
					 UINT64_MAX };

	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++) {
		char text[GRPC_TIMEOUT_TEXT];

		grpc_timeout_format(text, some[i]);
		EXPECT(timeout(text) >= some[i]);
		EXPECT(timeout(text) - some[i] <= some[i] / 99999);
	}
}

static bool message_is(const char *text, const char *encoded)
{
	char out[200], back[200];
	size_t n = grpc_message_encode(out, text, strlen(text));

	return n == strlen(encoded) && memcmp(out, encoded, n) == 0 &&
	       grpc_message_decode(back, out, n) == strlen(text) &&
	       memcmp(back, text, strlen(text)) == 0;
}

static void a_message_is_percent_encoded(void)
{
	EXPECT(message_is("plain ~text", "plain ~text"));
	EXPECT(message_is("100%", "100%25"));
	EXPECT(message_is("\t\r\n\x7f", "%09%0D%0A%7F"));
	EXPECT(message_is("\xe2\x98\xba \xf0\x9f\x98\x88",
			  "%E2%98%BA %F0%9F%98%88"));
}

static void half_an_escape_stays_as_it_is(void)
{
	static const char bad[] = "%,%4,%4g,%%41,%e2";
	char out[sizeof(bad)];
	size_t n = grpc_message_decode(out, bad, sizeof(bad) - 1);

	EXPECT(n == strlen("%,%4,%4g,%A,\xe2"));
	EXPECT(memcmp(out, "%,%4,%4g,%A,\xe2", n) == 0);
}

static bool base64_is(const char *text, const char *data)
{
	uint8_t out[32];
	size_t len;

	return grpc_base64_decode(out, &len, text, strlen(text)) &&
	       len == strlen(data) && memcmp(out, data, len) == 0;
}

static void base64_is_read_with_and_without_padding(void)
{
	EXPECT(base64_is("", ""));
	EXPECT(base64_is("Zg==", "f") && base64_is("Zg", "f"));
	EXPECT(base64_is("Zm8=", "fo") && base64_is("Zm8", "fo"));
	EXPECT(base64_is("Zm9v", "foo"));
	EXPECT(base64_is("+/+/", "\xfb\xff\xbf"));
}

static void what_is_no_base64_is_refused(void)
{
	static const char *const bad[] = { "Z",	   "Zg=",   "Zg===", "Zm9vZ",
					   "=",	   "====",  "Zm9=v", "Z g=",
					   "Zm-_", "Zm8==", "Zm9v=" };
	uint8_t out[32];
	size_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		EXPECT(!grpc_base64_decode(out, &len, bad[i], strlen(bad[i])));
	EXPECT(!grpc_base64_decode(out, &len, "Zm\0v", 4));
}

static void any_bytes_come_back_from_base64(void)
{
	uint64_t rng = check_seed();

	for (size_t len = 0; len < 100; len++) {
		uint8_t data[100], back[200];
		char text[GRPC_BASE64_LEN(sizeof(data))];
		size_t n, back_len;

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)msn_rand_next(&rng);
		n = grpc_base64_encode(text, data, len);
		EXPECT(n == (len * 4 + 2) / 3);
		CHECK(grpc_base64_decode(back, &back_len, text, n));
		EXPECT(back_len == len && memcmp(back, data, len) == 0);
	}
}

static bool is_type(const char *text)
{
	return grpc_is_content_type(text, strlen(text));
}

static void content_types_of_grpc_are_known(void)
{
	EXPECT(is_type("application/grpc"));
	EXPECT(is_type("application/grpc+proto"));
	EXPECT(is_type("application/grpc;charset=utf-8"));
	EXPECT(is_type("application/grpc+proto; x"));
	EXPECT(!is_type("application/grpc+json"));
	EXPECT(!is_type("application/grpc-web"));
	EXPECT(!is_type("application/grpcx"));
	EXPECT(!is_type("application/json"));
	EXPECT(!is_type(""));
}

static void binary_keys_are_known(void)
{
	EXPECT(grpc_is_binary("a-bin", 5));
	EXPECT(grpc_is_binary("-bin", 4));
	EXPECT(!grpc_is_binary("bin", 3));
	EXPECT(!grpc_is_binary("a-binx", 6));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_timeout_is_read_in_every_unit),
		CHECK_TEST(what_is_no_timeout_is_refused),
		CHECK_TEST(a_timeout_is_written_no_shorter),
		CHECK_TEST(a_message_is_percent_encoded),
		CHECK_TEST(half_an_escape_stays_as_it_is),
		CHECK_TEST(base64_is_read_with_and_without_padding),
		CHECK_TEST(what_is_no_base64_is_refused),
		CHECK_TEST(any_bytes_come_back_from_base64),
		CHECK_TEST(content_types_of_grpc_are_known),
		CHECK_TEST(binary_keys_are_known),
		{}
	};

	return check_main(argc, argv, "grpc text", tests);
}
