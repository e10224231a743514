/*
 * Digest: known values, and the zero page at every single byte.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "digest/digest.h"

#include "digest/xxh_page.h"
#include "support/check.h"

#include <string.h>

static void digests_are_those_of_xxh3(void)
{
	struct msn_digest128 d = msn_digest128_bytes("", 0);

	/* As `xxhsum -H3` and `xxhsum -H2` print them for an empty file. */
	EXPECT(msn_digest_bytes("", 0) == UINT64_C(0x2d06800538d394c2));
	EXPECT(d.high == UINT64_C(0x99aa06d3014798d8) &&
	       d.low == UINT64_C(0x6001c324468d497f));
}

static void a_page_digest_is_that_of_its_bytes(void)
{
	unsigned char page[4096 + 1];

	memset(page, 7, sizeof(page));
	EXPECT(msn_digest_page(page) == msn_digest_bytes(page, 4096));
	page[4096] = 8;
	EXPECT(msn_digest_page(page) == msn_digest_bytes(page, 4096));
	page[4095] = 8;
	EXPECT(msn_digest_page(page + 1) != msn_digest_page(page));
}

static void wide_and_narrow_vectors_give_the_same_digest(void)
{
	unsigned char bytes[8192];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * i >> 3);
	for (size_t len = 0; len <= sizeof(bytes); len += 61)
		EXPECT(msn_digest_bytes(bytes, len) == XXH3_64bits(bytes, len));
}

static void every_bit_counts(void)
{
	unsigned char page[4096] = { 0 };
	uint64_t zero = msn_digest_page(page);

	for (size_t bit = 0; bit < sizeof(page) * 8; bit++) {
		page[bit / 8] ^= (unsigned char)(1 << bit % 8);
		EXPECT(msn_digest_page(page) != zero);
		page[bit / 8] = 0;
	}
}

static void only_a_page_of_zeros_is_zero(void)
{
	unsigned char page[4096 + 8] = { 0 };

	page[4096] = 1; /* behind the page */
	EXPECT(msn_page_is_zero(page));
	for (size_t i = 0; i < 4096; i++) {
		page[i] = 1;
		EXPECT(!msn_page_is_zero(page));
		page[i] = 0;
	}
	memset(page, 0x55, 4096);
	EXPECT(!msn_page_is_zero(page));
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(digests_are_those_of_xxh3),
		CHECK_TEST(a_page_digest_is_that_of_its_bytes),
		CHECK_TEST(wide_and_narrow_vectors_give_the_same_digest),
		CHECK_TEST(every_bit_counts),
		CHECK_TEST(only_a_page_of_zeros_is_zero),
		{}
	};

	return check_main(argc, argv, "digest", tests);
}
