/*
 * Windows: addresses that stay, across borders, under many threads and without
 * memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/fd.h"
#include "base/limits.h"
#include "block/window.h"
#include "support/check.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GIB MSN_WINDOW_BYTES

struct fixture {
	int fd;
	struct msn_windows w;
};

static void *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CHECK(f);
	f->fd = memfd_create("sparse", MFD_CLOEXEC);
	CHECK(f->fd >= 0);
	CHECK(ftruncate(f->fd, (off_t)(20 * GIB)) == 0);
	msn_windows_init(&f->w, f->fd, PROT_READ | PROT_WRITE);
	return f;
}

static void fixture_free(struct fixture *f)
{
	msn_windows_deinit(&f->w);
	close(f->fd);
	free(f);
}

static struct msn_file_range range(uint64_t start, uint64_t len)
{
	return (struct msn_file_range){ start, start + len };
}

static void a_page_is_where_the_file_has_it(void)
{
	struct fixture *f = fixture_new();
	struct msn_spans s;

	CHECK(msn_pwrite_full(f->fd, "hello", 5, 3 * 4096 + 10) == 0);
	CHECK(msn_windows_map(&f->w, range(3 * 4096 + 10, 5), &s) == 0);
	EXPECT(s.count == 1 && s.span[0].len == 5);
	EXPECT(memcmp(s.span[0].data, "hello", 5) == 0);
	fixture_free(f);
}

static void a_range_over_a_border_has_two_spans(void)
{
	struct fixture *f = fixture_new();
	struct msn_spans s;

	CHECK(msn_pwrite_full(f->fd, "leftright", 9, GIB - 4) == 0);
	CHECK(msn_windows_map(&f->w, range(GIB - 4, 9), &s) == 0);
	CHECK(s.count == 2);
	EXPECT(s.span[0].len == 4 && memcmp(s.span[0].data, "left", 4) == 0);
	EXPECT(s.span[1].len == 5 && memcmp(s.span[1].data, "right", 5) == 0);
	fixture_free(f);
}

static void writing_through_a_window_reaches_the_file(void)
{
	struct fixture *f = fixture_new();
	struct msn_spans s;
	char text[4] = "";

	CHECK(msn_windows_map(&f->w, range(7 * GIB + 4096, 4), &s) == 0);
	memcpy(s.span[0].data, "new", 4);
	CHECK(msn_pread_full(f->fd, text, 4, 7 * GIB + 4096) == 4);
	EXPECT(strcmp(text, "new") == 0);
	fixture_free(f);
}

static void an_address_never_changes(void)
{
	struct fixture *f = fixture_new();
	struct msn_spans first, again;

	CHECK(msn_windows_map(&f->w, range(4096, 4096), &first) == 0);
	/* Enough windows that the table grows twice. */
	for (uint64_t i = 0; i < 20; i++)
		CHECK(msn_windows_map(&f->w, range(i * GIB, 1), &again) == 0);
	CHECK(msn_windows_map(&f->w, range(4096, 4096), &again) == 0);
	EXPECT(first.span[0].data == again.span[0].data);
	fixture_free(f);
}

static void more_windows_than_spans_give_a_prefix(void)
{
	struct fixture *f = fixture_new();
	struct msn_spans s;
	size_t len = 0;

	CHECK(msn_windows_map(&f->w, range(GIB / 2, 10 * GIB), &s) == 0);
	EXPECT(s.count == MSN_SPANS_MAX);
	for (size_t i = 0; i < s.count; i++)
		len += s.span[i].len;
	EXPECT(len == GIB / 2 + (MSN_SPANS_MAX - 1) * GIB);
	fixture_free(f);
}

static void a_bad_descriptor_is_an_error(void)
{
	struct msn_windows w;
	struct msn_spans s = { .count = 99 };

	msn_windows_init(&w, -1, PROT_READ);
	EXPECT(msn_windows_map(&w, range(0, 1), &s) == -EBADF);
	EXPECT(s.count == 99);
	msn_windows_deinit(&w);
}

static void an_offset_that_no_file_has_is_an_error(void)
{
	struct fixture *f = fixture_new();
	struct msn_spans s;

	EXPECT(msn_windows_map(&f->w, range(UINT64_MAX - 4096, 4096), &s) ==
	       -EOVERFLOW);
	fixture_free(f);
}

static int fault_body(void *state)
{
	struct fixture *f = state;
	struct msn_spans s;
	int rc;

	rc = msn_windows_map(&f->w, range(GIB - 1, 2), &s);
	if (!rc)
		rc = msn_windows_map(&f->w, range(40 * GIB, 1), &s);
	return rc;
}

static void fault_verify(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == (name ? -ENOMEM : 0));
	EXPECT(fault_body(f) == 0);
	fixture_free(f);
}

static void every_failure_leaves_the_windows_usable(void)
{
	/* Three nodes of the table, three windows. */
	EXPECT(check_every_fault(fixture_new, fault_body, fault_verify) == 6);
}

struct race {
	struct fixture *f;
	atomic_uint wrong;
};

/* Each window has its number in its first bytes. */
static void *race_run(void *arg)
{
	struct race *race = arg;
	struct msn_spans s;
	uint64_t seen;

	for (uint64_t i = 0; i < 2000; i++) {
		uint64_t nr = i * 7 % 20;

		if (msn_windows_map(&race->f->w, range(nr * GIB, 8), &s) != 0) {
			atomic_fetch_add(&race->wrong, 1);
			continue;
		}
		memcpy(&seen, s.span[0].data, sizeof(seen));
		if (seen != nr)
			atomic_fetch_add(&race->wrong, 1);
	}
	return NULL;
}

static void threads_find_the_same_windows(void)
{
	struct race race = { .f = fixture_new() };
	pthread_t thread[4];

	for (uint64_t nr = 0; nr < 20; nr++)
		CHECK(msn_pwrite_full(race.f->fd, &nr, sizeof(nr), nr * GIB) ==
		      0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, race_run, &race) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	EXPECT(race.wrong == 0);
	fixture_free(race.f);
}

static void a_closed_window_is_mapped_anew_when_it_is_wanted(void)
{
	struct fixture *f = fixture_new();
	uint64_t nr = 2;
	struct msn_spans s;

	CHECK(msn_pwrite_full(f->fd, "hi", 2, 6 * GIB) == 0);
	CHECK(msn_windows_map(&f->w, range(6 * GIB, 2), &s) == 0);
	EXPECT(msn_windows_at(&f->w, 6) == s.span[0].data);
	EXPECT(!msn_windows_at(&f->w, 5) && !msn_windows_at(&f->w, 700));
	EXPECT(msn_windows_next(&f->w, &nr) && nr == 6);
	nr = 7;
	EXPECT(!msn_windows_next(&f->w, &nr));
	msn_windows_close(&f->w, 6);
	EXPECT(!msn_windows_at(&f->w, 6));
	CHECK(msn_windows_map(&f->w, range(6 * GIB, 2), &s) == 0);
	EXPECT(memcmp(s.span[0].data, "hi", 2) == 0);
	fixture_free(f);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_page_is_where_the_file_has_it),
		CHECK_TEST(a_range_over_a_border_has_two_spans),
		CHECK_TEST(writing_through_a_window_reaches_the_file),
		CHECK_TEST(an_address_never_changes),
		CHECK_TEST(more_windows_than_spans_give_a_prefix),
		CHECK_TEST(a_bad_descriptor_is_an_error),
		CHECK_TEST(an_offset_that_no_file_has_is_an_error),
		CHECK_TEST(every_failure_leaves_the_windows_usable),
		CHECK_TEST(threads_find_the_same_windows),
		CHECK_TEST(a_closed_window_is_mapped_anew_when_it_is_wanted),
		{}
	};

	return check_main(argc, argv, "windows", tests);
}
