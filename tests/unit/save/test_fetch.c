/*
 * Fetch: batches come back in order, read, whatever the threads do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fault.h"
#include "range/range.h"
#include "save/fetch.h"
#include "support/check.h"

#include <errno.h>
#include <string.h>

#define PAGE MSN_PAGE_SIZE

/* A file whose page at offset o is filled with the byte o / 4096. */
static int read_at(struct msn_file *file, uint64_t offset, void *buf,
		   size_t len, size_t *done)
{
	(void)file;
	if (offset == 13 * PAGE)
		return MSN_FILE_E_BUS;
	memset(buf, (int)(offset / PAGE), len);
	*done = len;
	return 0;
}

static const struct msn_file_ops file_ops = {
	.name = "bytes",
	.buffer_read_at = read_at,
};

static struct msn_file bytes = { &file_ops };

static struct msn_fetch_batch *start(struct msn_fetch *f, uint64_t page)
{
	struct msn_fetch_batch *b = msn_fetch_open(f);

	if (!b)
		return NULL;
	b->file = &bytes;
	b->page[0] = page;
	b->io[0] = (struct msn_file_io){ page * PAGE, b->buf, PAGE };
	b->count = 1;
	msn_fetch_start(f, b);
	return b;
}

static void expect_next(struct msn_fetch *f, uint64_t page)
{
	struct msn_fetch_batch *b = msn_fetch_take(f);

	CHECK(b);
	EXPECT(b->page[0] == page);
	EXPECT(b->rc == 0 && b->buf[0] == (uint8_t)page &&
	       b->buf[PAGE - 1] == (uint8_t)page);
	msn_fetch_release(f, b);
}

static void batches_come_back_in_order(void)
{
	msn_auto(msn_fetch_freep) struct msn_fetch *f = NULL;
	uint64_t next = 20, taken = 20;

	CHECK(msn_fetch_new(&f) == 0);
	while (taken < 2000) {
		if (next < 2000 && start(f, next)) {
			next++;
			continue;
		}
		expect_next(f, taken++);
	}
	EXPECT(msn_fetch_take(f) == NULL);
}

static void no_more_than_there_are_can_be_open(void)
{
	msn_auto(msn_fetch_freep) struct msn_fetch *f = NULL;

	CHECK(msn_fetch_new(&f) == 0);
	for (uint64_t i = 0; i < MSN_FETCH_BATCHES; i++)
		EXPECT(start(f, i));
	EXPECT(!start(f, 9));
	expect_next(f, 0);
	EXPECT(start(f, 9));
}

static void a_failed_read_is_told_with_its_batch(void)
{
	msn_auto(msn_fetch_freep) struct msn_fetch *f = NULL;
	struct msn_fetch_batch *b;

	CHECK(msn_fetch_new(&f) == 0);
	CHECK(start(f, 12) && start(f, 13) && start(f, 14));
	expect_next(f, 12);
	b = msn_fetch_take(f);
	CHECK(b);
	EXPECT(b->page[0] == 13 && b->rc == MSN_FILE_E_BUS);
	msn_fetch_release(f, b);
	expect_next(f, 14);
}

static void freeing_waits_for_what_is_under_way(void)
{
	for (int i = 0; i < 200; i++) {
		struct msn_fetch *f;

		CHECK(msn_fetch_new(&f) == 0);
		CHECK(start(f, 1) && start(f, 2));
		EXPECT(msn_fetch_free(f) == NULL);
	}
}

static void without_memory_there_is_none(void)
{
	for (unsigned nth = 1; nth <= 1 + MSN_FETCH_BATCHES; nth++) {
		struct msn_fetch *f = NULL;

		msn_fault_arm(nth);
		EXPECT(msn_fetch_new(&f) == -ENOMEM);
		msn_fault_arm(0);
		EXPECT(!f);
	}
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(batches_come_back_in_order),
		CHECK_TEST(no_more_than_there_are_can_be_open),
		CHECK_TEST(a_failed_read_is_told_with_its_batch),
		CHECK_TEST(freeing_waits_for_what_is_under_way),
		CHECK_TEST(without_memory_there_is_none),
		{}
	};

	return check_main(argc, argv, "fetch", tests);
}
