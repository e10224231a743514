/*
 * Safe copy: pages that are not there become outcomes; signals that are not
 * ours go where they would have gone.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Dispositions are tried in children that are this program anew, so that the
 * handler is installed after the disposition in question was set.
 */
#include "base/fd.h"
#include "block/safecopy.h"
#include "range/range.h"
#include "support/check.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define HAVE_TSAN true
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAVE_TSAN true
#endif
#endif
#ifndef HAVE_TSAN
#define HAVE_TSAN false
#endif

enum { PAGES = 16, BYTES = PAGES * MSN_PAGE_SIZE };

static unsigned char *map_anon(int prot)
{
	unsigned char *p =
		mmap(NULL, BYTES, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

/* BYTES of address space over a file of @pages pages full of @fill. */
static unsigned char *map_short_file(unsigned pages, int fill)
{
	msn_auto(msn_closep) int fd = memfd_create("short", MFD_CLOEXEC);
	unsigned char *p;

	CHECK(fd >= 0);
	CHECK(ftruncate(fd, (off_t)(pages * MSN_PAGE_SIZE)) == 0);
	p = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	memset(p, fill, pages * MSN_PAGE_SIZE);
	return p;
}

static bool all_are(const unsigned char *p, size_t len, int value)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != value)
			return false;
	return true;
}

static void a_copy_of_good_memory_is_a_copy(void)
{
	unsigned char from[100], to[100] = { 0 };
	size_t done = 0;

	memset(from, 7, sizeof(from));
	EXPECT(msn_safecopy(to, from, sizeof(to), &done) == 0);
	EXPECT(done == sizeof(to) && all_are(to, sizeof(to), 7));
	EXPECT(msn_safecopy(to, from, 0, &done) == 0 && done == 0);
}

static void reading_past_the_end_of_a_file_stops_at_the_page(void)
{
	/*
	 * pages   0 1 2 3 4 5 | . .
	 * copied    = = = = = | *
	 */
	for (unsigned pages = 0; pages < PAGES; pages++) {
		unsigned char *src = map_short_file(pages, 9);
		unsigned char *dst = map_anon(PROT_READ | PROT_WRITE);
		size_t done = 99;

		EXPECT(msn_safecopy(dst, src, BYTES, &done) ==
		       MSN_SAFECOPY_E_BUS);
		EXPECT(done == pages * MSN_PAGE_SIZE);
		EXPECT(all_are(dst, done, 9));
		munmap(src, BYTES);
		munmap(dst, BYTES);
	}
}

static void writing_past_the_end_of_a_file_stops_at_the_page(void)
{
	for (unsigned pages = 0; pages < PAGES; pages++) {
		unsigned char *dst = map_short_file(pages, 1);
		unsigned char *src = map_anon(PROT_READ | PROT_WRITE);
		size_t done = 99;

		memset(src, 5, BYTES);
		EXPECT(msn_safecopy(dst, src, BYTES, &done) ==
		       MSN_SAFECOPY_E_BUS);
		EXPECT(done == pages * MSN_PAGE_SIZE);
		EXPECT(all_are(dst, done, 5));
		munmap(src, BYTES);
		munmap(dst, BYTES);
	}
}

static void an_unaligned_copy_counts_from_its_own_start(void)
{
	unsigned char *src = map_short_file(3, 9);
	unsigned char *dst = map_anon(PROT_READ | PROT_WRITE);
	size_t done = 0;

	EXPECT(msn_safecopy(dst + 5, src + 100, 5 * MSN_PAGE_SIZE, &done) ==
	       MSN_SAFECOPY_E_BUS);
	EXPECT(done == 3 * MSN_PAGE_SIZE - 100);
	EXPECT(all_are(dst + 5, done, 9));
	munmap(src, BYTES);
	munmap(dst, BYTES);
}

static void the_shorter_of_two_short_files_counts(void)
{
	unsigned char *src = map_short_file(9, 9);
	unsigned char *dst = map_short_file(4, 1);
	size_t done = 0;

	EXPECT(msn_safecopy(dst, src, BYTES, &done) == MSN_SAFECOPY_E_BUS);
	EXPECT(done == 4 * MSN_PAGE_SIZE && all_are(dst, done, 9));
	munmap(src, BYTES);
	munmap(dst, BYTES);
}

static void protected_memory_is_a_fault(void)
{
	unsigned char *src = map_anon(PROT_READ | PROT_WRITE);
	unsigned char *dst = map_anon(PROT_READ | PROT_WRITE);
	size_t done = 0;

	memset(src, 3, BYTES);
	CHECK(mprotect(src + 6 * MSN_PAGE_SIZE, MSN_PAGE_SIZE, PROT_NONE) == 0);
	EXPECT(msn_safecopy(dst, src, BYTES, &done) == MSN_SAFECOPY_E_FAULT);
	EXPECT(done == 6 * MSN_PAGE_SIZE && all_are(dst, done, 3));

	CHECK(mprotect(dst + 2 * MSN_PAGE_SIZE, MSN_PAGE_SIZE, PROT_READ) == 0);
	EXPECT(msn_safecopy(dst, src, BYTES, &done) == MSN_SAFECOPY_E_FAULT);
	EXPECT(done == 2 * MSN_PAGE_SIZE);
	munmap(src, BYTES);
	munmap(dst, BYTES);
}

static void the_lowest_of_two_holes_decides(void)
{
	/* A protected page below the end of a file: first FAULT, then BUS. */
	unsigned char *src = map_short_file(8, 9);
	unsigned char *dst = map_anon(PROT_READ | PROT_WRITE);
	size_t done = 0;

	CHECK(mprotect(src + 3 * MSN_PAGE_SIZE, MSN_PAGE_SIZE, PROT_NONE) == 0);
	EXPECT(msn_safecopy(dst, src, BYTES, &done) == MSN_SAFECOPY_E_FAULT);
	EXPECT(done == 3 * MSN_PAGE_SIZE && all_are(dst, done, 9));
	munmap(src, BYTES);
	munmap(dst, BYTES);
}

static void an_address_that_cannot_be_is_a_fault(void)
{
	void *nowhere = (void *)(uintptr_t)UINT64_C(0x1000000000000000);
	unsigned char to[64];
	size_t done = 99;

	EXPECT(msn_safecopy(to, nowhere, sizeof(to), &done) ==
	       MSN_SAFECOPY_E_FAULT);
	EXPECT(done == 0);
}

static void zeroing_stops_at_the_same_places(void)
{
	unsigned char *file = map_short_file(5, 9);
	unsigned char *closed = map_anon(PROT_READ);
	size_t done = 0;

	EXPECT(msn_safezero(file, BYTES, &done) == MSN_SAFECOPY_E_BUS);
	EXPECT(done == 5 * MSN_PAGE_SIZE && all_are(file, done, 0));
	EXPECT(msn_safezero(closed, BYTES, &done) == MSN_SAFECOPY_E_FAULT);
	EXPECT(done == 0);
	EXPECT(msn_safezero(file, 100, &done) == 0 && done == 100);
	munmap(file, BYTES);
	munmap(closed, BYTES);
}

static void a_swap_happens_only_when_it_was_expected(void)
{
	uint32_t word = 5, seen = 0;

	EXPECT(msn_safecas32(&word, 5, 8, &seen) == 0);
	EXPECT(seen == 5 && word == 8);
	EXPECT(msn_safecas32(&word, 5, 9, &seen) == 0);
	EXPECT(seen == 8 && word == 8);
}

static void a_swap_of_a_missing_page_is_an_outcome(void)
{
	unsigned char *file = map_short_file(0, 0);
	unsigned char *closed = map_anon(PROT_READ);
	uint32_t seen = 77;

	EXPECT(msn_safecas32((uint32_t *)(void *)file, 0, 1, &seen) ==
	       MSN_SAFECOPY_E_BUS);
	EXPECT(msn_safecas32((uint32_t *)(void *)closed, 0, 1, &seen) ==
	       MSN_SAFECOPY_E_FAULT);
	EXPECT(seen == 77);
	munmap(file, BYTES);
	munmap(closed, BYTES);
}

static void a_load_reads_also_what_may_not_be_written(void)
{
	unsigned char *closed = map_anon(PROT_READ), *none = map_anon(0);
	unsigned char *file = map_short_file(0, 0);
	uint32_t word = 5, value = 77;

	EXPECT(msn_safeload32((uint32_t *)(void *)none, &value) ==
	       MSN_SAFECOPY_E_FAULT);
	EXPECT(msn_safeload32((uint32_t *)(void *)file, &value) ==
	       MSN_SAFECOPY_E_BUS);
	EXPECT(value == 77);
	EXPECT(msn_safeload32(&word, &value) == 0 && value == 5);
	EXPECT(msn_safeload32((uint32_t *)(void *)closed, &value) == 0);
	EXPECT(value == 0);
	munmap(closed, BYTES);
	munmap(none, BYTES);
	munmap(file, BYTES);
}

static void it_works_on_an_alternate_stack_again_and_again(void)
{
	unsigned char *src = map_short_file(1, 9);
	unsigned char *dst = map_anon(PROT_READ | PROT_WRITE);
	stack_t alt = { .ss_sp = malloc(1 << 16), .ss_size = 1 << 16 }, old;
	size_t done;

	CHECK(alt.ss_sp);
	CHECK(sigaltstack(&alt, &old) == 0);
	for (int i = 0; i < 100; i++)
		EXPECT(msn_safecopy(dst, src, BYTES, &done) ==
			       MSN_SAFECOPY_E_BUS &&
		       done == MSN_PAGE_SIZE);
	CHECK(sigaltstack(&old, NULL) == 0);
	free(alt.ss_sp);
	munmap(src, BYTES);
	munmap(dst, BYTES);
}

static void the_signal_mask_is_the_same_afterwards(void)
{
	unsigned char *src = map_short_file(1, 9);
	sigset_t before, after;
	unsigned char to[64];
	size_t done;

	CHECK(pthread_sigmask(SIG_SETMASK, NULL, &before) == 0);
	EXPECT(msn_safecopy(to, src + MSN_PAGE_SIZE, 64, &done) ==
	       MSN_SAFECOPY_E_BUS);
	CHECK(pthread_sigmask(SIG_SETMASK, NULL, &after) == 0);
	EXPECT(sigismember(&after, SIGBUS) == sigismember(&before, SIGBUS));
	EXPECT(sigismember(&after, SIGSEGV) == sigismember(&before, SIGSEGV));
	munmap(src, BYTES);
}

static atomic_uint wrong_turns;

static void *copy_in_parallel(void *arg)
{
	unsigned pages = (unsigned)(uintptr_t)arg;
	unsigned char *src = map_short_file(pages, (int)pages);
	unsigned char *dst = map_anon(PROT_READ | PROT_WRITE);

	for (int i = 0; i < 300; i++) {
		size_t done = 0;
		int rc = msn_safecopy(dst, src, BYTES, &done);

		if (rc != MSN_SAFECOPY_E_BUS || done != pages * MSN_PAGE_SIZE ||
		    !all_are(dst, done, (int)pages))
			atomic_fetch_add(&wrong_turns, 1);
	}
	munmap(src, BYTES);
	munmap(dst, BYTES);
	return NULL;
}

static void threads_recover_each_for_itself(void)
{
	pthread_t thread[4];

	for (uintptr_t i = 0; i < 4; i++)
		CHECK(pthread_create(&thread[i], NULL, copy_in_parallel,
				     (void *)(2 * i + 1)) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	EXPECT(wrong_turns == 0);
}

/*
 * Children.  Each sets a disposition, makes a copy that fails (which installs
 * the handlers), and then lets a foreign signal come.
 */
enum { EXIT_REACHED = 42, EXIT_SURVIVED = 43, EXIT_BROKEN = 44 };

static volatile sig_atomic_t calls;

static void fail_one_copy(void)
{
	unsigned char *closed = mmap(NULL, BYTES, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char to[8];
	size_t done;

	if (msn_safecopy(to, closed, 8, &done) != MSN_SAFECOPY_E_FAULT)
		_exit(EXIT_BROKEN);
}

static void touch_nothing(void)
{
	volatile unsigned char *closed = mmap(
		NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*closed = 1;
}

static void leave(int sig)
{
	sigset_t mask;

	/* Blocked inside its own handler, as its flags ask for. */
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	_exit(sigismember(&mask, sig) == 1 && sigismember(&mask, SIGUSR1) == 1
		      ? EXIT_REACHED
		      : EXIT_BROKEN);
}

static void leave_if_info(int sig, siginfo_t *info, void *context)
{
	_exit(sig == SIGSEGV && info->si_addr && context ? EXIT_REACHED
							 : EXIT_BROKEN);
}

static void count_call(int sig)
{
	(void)sig;
	calls++;
}

static void set_handler(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };

	sigaddset(&sa.sa_mask, SIGUSR1);
	sigaction(sig, &sa, NULL);
}

static void child_fault_kills(void)
{
	signal(SIGSEGV, SIG_DFL);
	fail_one_copy();
	touch_nothing();
}

static void child_sent_kills(void)
{
	signal(SIGSEGV, SIG_DFL);
	fail_one_copy();
	raise(SIGSEGV);
}

static void child_fault_reaches_handler(void)
{
	set_handler(SIGSEGV, leave, 0);
	fail_one_copy();
	touch_nothing();
}

static void child_fault_reaches_info_handler(void)
{
	struct sigaction sa = { .sa_sigaction = leave_if_info,
				.sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	fail_one_copy();
	touch_nothing();
}

static void child_sent_is_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	fail_one_copy();
	raise(SIGSEGV);
	_exit(EXIT_SURVIVED);
}

static void child_ignored_fault_kills(void)
{
	signal(SIGSEGV, SIG_IGN);
	fail_one_copy();
	touch_nothing();
}

static void child_handler_used_once(void)
{
	set_handler(SIGSEGV, count_call, (int)SA_RESETHAND);
	fail_one_copy();
	raise(SIGSEGV);
	if (calls != 1)
		_exit(EXIT_BROKEN);
	raise(SIGSEGV);
}

static void child_bus_reaches_handler(void)
{
	set_handler(SIGBUS, leave, 0);
	fail_one_copy();
	raise(SIGBUS);
}

/* Copies inside a handler, and a copy after it, both recover. */
static void copy_in_handler(int sig)
{
	(void)sig;
	fail_one_copy();
	calls++;
}

static void child_copies_in_handler(void)
{
	set_handler(SIGSEGV, copy_in_handler, SA_NODEFER);
	fail_one_copy();
	raise(SIGSEGV);
	fail_one_copy();
	_exit(calls == 1 ? EXIT_REACHED : EXIT_BROKEN);
}

static const struct child {
	const char *name;
	void (*run)(void);
} children[] = {
	{ "fault-kills", child_fault_kills },
	{ "sent-kills", child_sent_kills },
	{ "fault-handler", child_fault_reaches_handler },
	{ "fault-info", child_fault_reaches_info_handler },
	{ "sent-ignored", child_sent_is_ignored },
	{ "fault-ignored", child_ignored_fault_kills },
	{ "once", child_handler_used_once },
	{ "bus", child_bus_reaches_handler },
	{ "copy-in-handler", child_copies_in_handler },
};

/* Wait status of a fresh process that plays @name. */
static int play(const char *name)
{
	int status = 0;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		execl("/proc/self/exe", "test_safecopy", "--child", name,
		      (char *)NULL);
		_exit(EXIT_BROKEN);
	}
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static bool exits(const char *name, int code)
{
	int status = play(name);

	return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

static bool dies(const char *name, int sig)
{
	int status = play(name);

	return WIFSIGNALED(status) && WTERMSIG(status) == sig;
}

static void a_foreign_fault_kills_as_before(void)
{
	EXPECT(dies("fault-kills", SIGSEGV));
	EXPECT(dies("fault-ignored", SIGSEGV));
}

static void a_sent_signal_does_what_it_did_before(void)
{
	EXPECT(dies("sent-kills", SIGSEGV));
	EXPECT(exits("sent-ignored", EXIT_SURVIVED));
	EXPECT(exits("bus", EXIT_REACHED));
}

static void a_foreign_fault_reaches_the_handler_before(void)
{
	EXPECT(exits("fault-handler", EXIT_REACHED));
	EXPECT(exits("fault-info", EXIT_REACHED));
}

static void a_handler_for_one_time_is_called_once(void)
{
	EXPECT(dies("once", SIGSEGV));
}

static void a_handler_may_copy_safely_itself(void)
{
	/* ThreadSanitizer runs every handler with all signals blocked. */
	if (!HAVE_TSAN)
		EXPECT(exits("copy-in-handler", EXIT_REACHED));
}

static int play_child(const char *name)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(children); i++)
		if (strcmp(children[i].name, name) == 0)
			children[i].run();
	return EXIT_BROKEN;
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(a_copy_of_good_memory_is_a_copy),
		CHECK_TEST(reading_past_the_end_of_a_file_stops_at_the_page),
		CHECK_TEST(writing_past_the_end_of_a_file_stops_at_the_page),
		CHECK_TEST(an_unaligned_copy_counts_from_its_own_start),
		CHECK_TEST(the_shorter_of_two_short_files_counts),
		CHECK_TEST(protected_memory_is_a_fault),
		CHECK_TEST(the_lowest_of_two_holes_decides),
		CHECK_TEST(an_address_that_cannot_be_is_a_fault),
		CHECK_TEST(zeroing_stops_at_the_same_places),
		CHECK_TEST(a_swap_happens_only_when_it_was_expected),
		CHECK_TEST(a_swap_of_a_missing_page_is_an_outcome),
		CHECK_TEST(a_load_reads_also_what_may_not_be_written),
		CHECK_TEST(it_works_on_an_alternate_stack_again_and_again),
		CHECK_TEST(the_signal_mask_is_the_same_afterwards),
		CHECK_TEST(threads_recover_each_for_itself),
		CHECK_TEST(a_foreign_fault_kills_as_before),
		CHECK_TEST(a_sent_signal_does_what_it_did_before),
		CHECK_TEST(a_foreign_fault_reaches_the_handler_before),
		CHECK_TEST(a_handler_for_one_time_is_called_once),
		CHECK_TEST(a_handler_may_copy_safely_itself),
		{}
	};

	if (argc == 3 && strcmp(argv[1], "--child") == 0)
		return play_child(argv[2]);
	return check_main(argc, argv, "safe copy", tests);
}
