/*
 * Base: growing arrays, whole files, failures and the lock order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "base/buffer.h"
#include "base/failure.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/hint.h"
#include "base/lock.h"
#include "support/check.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

static void a_growing_array_keeps_its_elements(void)
{
	msn_auto(msn_freep) int *list = NULL;
	size_t cap = 0;

	for (size_t i = 0; i < 1000; i++) {
		CHECK(msn_grow((void **)&list, &cap, i, sizeof(*list)) == 0);
		list[i] = (int)i;
	}
	for (size_t i = 0; i < 1000; i++)
		EXPECT(list[i] == (int)i);
}

static void growing_without_memory_leaves_the_array(void)
{
	msn_auto(msn_freep) int *list = NULL;
	size_t cap = 0;
	int *before;

	CHECK(msn_grow((void **)&list, &cap, 0, sizeof(*list)) == 0);
	before = list;
	msn_fault_arm(1);
	EXPECT(msn_grow((void **)&list, &cap, cap, sizeof(*list)) == -ENOMEM);
	msn_fault_arm(0);
	EXPECT(list == before && cap == 16);
}

static void a_file_without_a_size_is_read_whole(void)
{
	msn_auto(msn_freep) char *text = NULL;
	size_t len;

	CHECK(msn_read_file(&text, &len, AT_FDCWD, "/proc/self/maps",
			    1 << 20) == 0);
	EXPECT(len == strlen(text) && len > 100);
}

static void a_file_beyond_the_bound_is_refused(void)
{
	char *text;

	EXPECT(msn_read_file(&text, NULL, AT_FDCWD, "/proc/self/maps", 10) ==
	       -EFBIG);
}

static void a_read_past_the_end_is_short(void)
{
	msn_auto(msn_closep) int fd = memfd_create("test", MFD_CLOEXEC);
	char buf[16];

	CHECK(fd >= 0);
	CHECK(msn_pwrite_full(fd, "hello", 5, 0) == 0);
	EXPECT(msn_pread_full(fd, buf, sizeof(buf), 2) == 3);
	EXPECT(memcmp(buf, "llo", 3) == 0);
}

static void the_first_failure_text_stays(void)
{
	struct msn_failure f = { 0 };

	EXPECT(msn_failure_errno(&f, -ENOSPC, "pack %d", 7) == -ENOSPC);
	EXPECT(msn_failure_set(&f, -EIO, MSN_FAILURE_INTERNAL, "later") ==
	       -EIO);
	EXPECT(f.kind == MSN_FAILURE_EXHAUSTED);
	EXPECT(strcmp(f.text, "pack 7: No space left on device") == 0);
}

static void a_failure_text_stays_one_line(void)
{
	struct msn_failure f = { 0 };

	EXPECT(msn_failure_set(&f, -EINVAL, MSN_FAILURE_INVALID, "name %s",
			       "a\nb\033c") == -EINVAL);
	EXPECT(strcmp(f.text, "name a?b?c") == 0);
}

static void a_buffer_grows_with_what_is_written(void)
{
	msn_auto(msn_freep) char *text = NULL;
	struct msn_buffer b = { 0 };
	size_t len;

	for (int i = 0; i < 1000; i++)
		msn_buffer_printf(&b, "%03d,", i);
	msn_buffer_add(&b, "a\0b", 3);
	CHECK(msn_buffer_take(&b, &text, &len) == 0);
	EXPECT(len == 4003 && strncmp(text + 3996, "999,a", 5) == 0);
	EXPECT(text[4002] == 'b' && text[4003] == '\0');
	EXPECT(b.text == NULL && b.len == 0);
}

static void an_empty_buffer_is_an_empty_text(void)
{
	msn_auto(msn_freep) char *text = NULL;
	struct msn_buffer b = { 0 };

	CHECK(msn_buffer_take(&b, &text, NULL) == 0);
	EXPECT(*text == '\0');
}

static void a_buffer_without_memory_says_so_at_the_end(void)
{
	char *text = NULL;
	struct msn_buffer b = { 0 };

	msn_buffer_printf(&b, "first");
	msn_fault_arm(1);
	for (int i = 0; i < 1000; i++)
		msn_buffer_printf(&b, "%d", i);
	msn_fault_arm(0);
	msn_buffer_add(&b, "last", 4);
	EXPECT(msn_buffer_take(&b, &text, NULL) == -ENOMEM);
	EXPECT(text == NULL && b.text == NULL);
}

static const char *nearest(const char *word)
{
	struct msn_hint hint = {};

	msn_hint_begin(&hint, word);
	msn_hint_try(&hint, "workers");
	msn_hint_try(&hint, "owner_requests_per_second");
	msn_hint_try(&hint, "total_requests_per_second");
	return hint.best;
}

static void a_mistyped_word_has_a_nearest_one(void)
{
	const char *workers = nearest("wrokers");
	const char *longer = nearest("total_request_per_second");

	CHECK(workers && longer);
	EXPECT(strcmp(workers, "workers") == 0);
	EXPECT(strcmp(longer, "total_requests_per_second") == 0);
	EXPECT(nearest("xyz") == NULL);
	EXPECT(nearest("") == NULL);
}

#ifdef MSN_DEBUG_CHECKS
static void lock_backwards(void *ctx)
{
	struct msn_mutex outer, inner;

	(void)ctx;
	msn_mutex_init(&outer, MSN_RANK_MM_MAPPING);
	msn_mutex_init(&inner, MSN_RANK_FILE);
	msn_mutex_lock(&inner);
	msn_mutex_lock(&outer);
}

static void lock_forwards(void *ctx)
{
	struct msn_mutex outer, inner;

	(void)ctx;
	msn_mutex_init(&outer, MSN_RANK_MM_MAPPING);
	msn_mutex_init(&inner, MSN_RANK_FILE);
	for (int i = 0; i < 2; i++) {
		msn_lock_scope(&outer);
		msn_lock_scope(&inner);
	}
}

static void *try_held(void *m)
{
	return msn_mutex_trylock(m) ? NULL : m;
}

static void a_lock_that_is_held_is_not_waited_for(void)
{
	struct msn_mutex m;
	pthread_t thread;
	void *refused;

	msn_mutex_init(&m, MSN_RANK_FILE);
	CHECK(msn_mutex_trylock(&m));
	CHECK(pthread_create(&thread, NULL, try_held, &m) == 0);
	CHECK(pthread_join(thread, &refused) == 0);
	EXPECT(refused == &m);
	msn_mutex_unlock(&m);
	CHECK(msn_mutex_trylock(&m));
	msn_mutex_unlock(&m);
	msn_mutex_deinit(&m);
}

static void a_lock_out_of_order_is_an_assertion(void)
{
	EXPECT(check_asserts(lock_backwards, NULL));
	EXPECT(!check_asserts(lock_forwards, NULL));
}
#endif

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_growing_array_keeps_its_elements),
		CHECK_TEST(growing_without_memory_leaves_the_array),
		CHECK_TEST(a_file_without_a_size_is_read_whole),
		CHECK_TEST(a_file_beyond_the_bound_is_refused),
		CHECK_TEST(a_read_past_the_end_is_short),
		CHECK_TEST(the_first_failure_text_stays),
		CHECK_TEST(a_failure_text_stays_one_line),
		CHECK_TEST(a_buffer_grows_with_what_is_written),
		CHECK_TEST(an_empty_buffer_is_an_empty_text),
		CHECK_TEST(a_buffer_without_memory_says_so_at_the_end),
		CHECK_TEST(a_mistyped_word_has_a_nearest_one),
#ifdef MSN_DEBUG_CHECKS
		CHECK_TEST(a_lock_out_of_order_is_an_assertion),
		CHECK_TEST(a_lock_that_is_held_is_not_waited_for),
#endif
		{}
	};

	return check_main(argc, argv, "base", tests);
}
