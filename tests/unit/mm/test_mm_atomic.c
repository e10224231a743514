/*
 * mm: words that threads share, and futex keys, over both platforms.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "unit/mm/shared_object.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t load(struct msn_mm *mm, uint64_t addr)
{
	uint32_t value = 0;

	CHECK(msn_mm_load32(mm, addr, &value) == 0);
	return value;
}

/* A file of one page of 'A'; the caller drops the identity. */
static struct msn_hostfile *make_file(bool buffered)
{
	char path[] = "/tmp/memsnap-test-XXXXXX", page[MSN_PAGE_SIZE];
	struct msn_hostfile *hf;
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	memset(page, 'A', PAGE);
	CHECK(write(fd, page, PAGE) == (ssize_t)PAGE);
	CHECK(msn_hostfile_new(&hf, &(struct msn_hostfile_opts){
					    .fd = fd,
					    .path = path,
					    .buffered = buffered }) == 0);
	unlink(path);
	return hf;
}

static struct msn_mmap_opts of_file(struct msn_hostfile *hf, uint64_t page,
				    uint64_t pages, bool private)
{
	struct msn_mmap_opts o = anon(page, pages);

	o.mappable = msn_hostfile_mappable(hf);
	o.mapping_identity = msn_hostfile_identity(hf);
	o.private = private;
	return o;
}

/* ---- Words --------------------------------------------------------------- */

static void words_are_loaded_swapped_and_compared(void)
{
	FOR_BOTH(f, local)
	{
		uint32_t seen = 99;

		map(f.mm, anon(0, 1));
		EXPECT(load(f.mm, AT(0) + 8) == 0);
		EXPECT(msn_mm_swap32(f.mm, AT(0) + 8, 7, &seen) == 0);
		EXPECT(seen == 0 && load(f.mm, AT(0) + 8) == 7);
		EXPECT(msn_mm_swap32(f.mm, AT(0) + 8, 8, &seen) == 0);
		EXPECT(seen == 7);
		EXPECT(msn_mm_cas32(f.mm, AT(0) + 8, 7, 9, &seen) == 0);
		EXPECT(seen == 8 && load(f.mm, AT(0) + 8) == 8);
		EXPECT(msn_mm_cas32(f.mm, AT(0) + 8, 8, 9, &seen) == 0);
		EXPECT(load(f.mm, AT(0) + 8) == 9);
	}
}

static void a_word_must_be_aligned_mapped_and_permitted(void)
{
	FOR_BOTH(f, local)
	{
		uint32_t seen = 99;

		map(f.mm, anon(0, 2));
		put(f.mm, AT(1), 'x');
		CHECK(msn_mm_mprotect(f.mm, AT(1), PAGE, PROT_READ) == 0);
		EXPECT(msn_mm_load32(f.mm, AT(0) + 2, &seen) == -EFAULT);
		EXPECT(msn_mm_swap32(f.mm, AT(0) + 1, 1, &seen) == -EFAULT);
		EXPECT(msn_mm_load32(f.mm, AT(2), &seen) == -EFAULT);
		EXPECT(msn_mm_swap32(f.mm, AT(1), 1, &seen) == -EFAULT);
		EXPECT(msn_mm_cas32(f.mm, AT(1), 'x', 1, &seen) == -EFAULT);
		EXPECT(seen == 99);
		EXPECT(load(f.mm, AT(1)) == 'x');
		CHECK(msn_mm_mprotect(f.mm, AT(1), PAGE, PROT_NONE) == 0);
		EXPECT(msn_mm_load32(f.mm, AT(1), &seen) == -EFAULT);
	}
}

static void a_load_copies_no_page(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mm *child;
		uint64_t used;

		map(f.mm, anon(0, 2));
		put(f.mm, AT(0), 'x');
		CHECK(msn_mm_fork(f.mm, make_platform(false), &child) == 0);
		used = msn_memfile_used(f.mf);
		EXPECT(load(f.mm, AT(0)) == 'x' && load(child, AT(0)) == 'x');
		EXPECT(load(child, AT(1)) == 0);
		EXPECT(msn_memfile_used(f.mf) == used);
		msn_mm_free(child);
	}
}

static void a_page_past_the_end_of_an_object_is_a_fault(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_hostfile *hf = make_file(false);
		uint32_t seen;

		map(f.mm, of_file(hf, 0, 2, false));
		EXPECT(load(f.mm, AT(0)) == 0x41414141);
		EXPECT(msn_mm_load32(f.mm, AT(1), &seen) == -EFAULT);
		EXPECT(msn_mm_swap32(f.mm, AT(1), 1, &seen) == -EFAULT);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

static void a_file_that_is_not_mapped_here_can_be_loaded_from(void)
{
	struct fixture f = setup(false);
	struct msn_hostfile *hf = make_file(true);

	map(f.mm, of_file(hf, 0, 1, false));
	EXPECT(load(f.mm, AT(0) + 4) == 0x41414141);
	msn_identity_dec_ref(msn_hostfile_identity(hf));
	teardown(&f);
}

#define ROUNDS 2000

static void *add_many(void *ctx)
{
	struct msn_mm *mm = ctx;

	for (int i = 0; i < ROUNDS; i++) {
		uint32_t was = load(mm, AT(0)), seen;

		while (msn_mm_cas32(mm, AT(0), was, was + 1, &seen) == 0 &&
		       seen != was)
			was = seen;
	}
	return NULL;
}

static void no_addition_of_two_threads_is_lost(void)
{
	FOR_BOTH(f, local)
	{
		pthread_t other;

		map(f.mm, anon(0, 1));
		CHECK(pthread_create(&other, NULL, add_many, f.mm) == 0);
		add_many(f.mm);
		pthread_join(other, NULL);
		EXPECT(load(f.mm, AT(0)) == 2 * ROUNDS);
	}
}

/* ---- Futex keys ---------------------------------------------------------- */

static void a_private_key_is_of_one_space(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_futex_key a, b, c, d;

		map(f.mm, anon(0, 1));
		CHECK(msn_mm_futex_key(f.mm, AT(0), false, &a) == 0);
		CHECK(msn_mm_futex_key(f.mm, AT(0), false, &b) == 0);
		CHECK(msn_mm_futex_key(f.mm, AT(0) + 4, false, &c) == 0);
		CHECK(msn_mm_futex_key(f.mm, AT(0), true, &d) == 0);
		EXPECT(msn_futex_key_same(&a, &b));
		EXPECT(msn_futex_key_hash(&a) == msn_futex_key_hash(&b));
		EXPECT(!msn_futex_key_same(&a, &c));
		EXPECT(d.kind == MSN_FUTEX_ANONYMOUS);
		EXPECT(!msn_futex_key_same(&a, &d)); /* as in Linux */
		/* Nothing is looked at, so nothing need be there. */
		EXPECT(msn_mm_futex_key(f.mm, AT(7), false, &c) == 0);
		msn_futex_key_put(&a);
		msn_futex_key_put(&d);
	}
}

static void a_shared_key_is_the_objects_and_keeps_it(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_mmap_opts o = anon(0, 2);
		struct msn_futex_key a, b;

		o.private = false;
		set_shared(&f, &o);
		map(f.mm, o);
		o.addr = AT(10);
		map(f.mm, o);
		CHECK(msn_mm_futex_key(f.mm, AT(1) + 8, true, &a) == 0);
		CHECK(msn_mm_futex_key(f.mm, AT(11) + 8, true, &b) == 0);
		EXPECT(a.kind == MSN_FUTEX_OBJECT && a.at == PAGE + 8);
		EXPECT(msn_futex_key_same(&a, &b));
		EXPECT(msn_futex_key_hash(&a) == msn_futex_key_hash(&b));
		msn_identity_dec_ref(o.mapping_identity);
		CHECK(msn_mm_munmap(f.mm, AT(0), 12 * PAGE) == 0);
		msn_futex_key_put(&a);
		msn_futex_key_put(&b); /* the object goes with the last one */
	}
}

static void a_private_page_of_a_file_has_a_key_of_its_own(void)
{
	FOR_BOTH(f, local)
	{
		struct msn_hostfile *hf = make_file(false);
		struct msn_mmap_opts ro = of_file(hf, 2, 1, true);
		struct msn_futex_key a, b;

		ro.perms = MSN_ACCESS_READ;
		map(f.mm, of_file(hf, 0, 1, true));
		map(f.mm, ro);
		CHECK(msn_mm_futex_key(f.mm, AT(0), true, &a) == 0);
		EXPECT(a.kind == MSN_FUTEX_ANONYMOUS);
		CHECK(msn_mm_futex_key(f.mm, AT(2), true, &b) == 0);
		EXPECT(b.kind == MSN_FUTEX_OBJECT);
		msn_futex_key_put(&a);
		msn_futex_key_put(&b);
		msn_identity_dec_ref(msn_hostfile_identity(hf));
	}
}

/* ---- Against the kernel -------------------------------------------------- */

struct wake {
	uint64_t addr;
	bool shared;
};

static const struct wake wakes[] = {
	{ AT(0), false },	 { AT(0), true },  { AT(0) + 2, false },
	{ AT(0) + 2, true },	 { AT(1), true },  { AT(1), false },
	{ AT(2), true },	 { AT(2), false }, { AT(3), true },
	{ AT(4), true },	 { AT(5), true },  { AT(6), true },
	{ AT(7), true },	 { AT(7), false }, { UINT64_MAX - 3, false },
	{ UINT64_MAX - 3, true }
};

/* Pages: rw, r, none, shared rw, shared r, shared w, r and written, a hole. */
static const int prots[] = { 3, 1, 0, 3, 1, 2, 1 };
static const bool shareds[] = { false, false, false, true, true, true, false };

static void wake_in_kernel(int *out)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(prots); i++) {
		char *p = mmap((void *)(uintptr_t)AT(i), PAGE, 3,
			       MAP_FIXED | MAP_ANONYMOUS |
				       (shareds[i] ? MAP_SHARED : MAP_PRIVATE),
			       -1, 0);

		if (p == MAP_FAILED)
			_exit(1);
		if (i == 6)
			*p = 'x';
		if (mprotect(p, PAGE, prots[i]) < 0)
			_exit(2);
	}
	for (size_t i = 0; i < MSN_ARRAY_LEN(wakes); i++) {
		long rc = syscall(
			SYS_futex, wakes[i].addr,
			FUTEX_WAKE | (wakes[i].shared ? 0 : FUTEX_PRIVATE_FLAG),
			1, NULL, NULL, 0);

		out[i] = rc < 0 ? -errno : (int)rc;
	}
	_exit(0);
}

static void wake_in_engine(struct fixture *f, int *out)
{
	for (size_t i = 0; i < MSN_ARRAY_LEN(prots); i++) {
		struct msn_mmap_opts o = anon(i, 1);

		if (shareds[i]) {
			o.private = false;
			set_shared(f, &o);
		}
		map(f->mm, o);
		msn_identity_dec_ref(o.mapping_identity);
		if (i == 6)
			put(f->mm, AT(i), 'x');
		CHECK(msn_mm_mprotect(f->mm, AT(i), PAGE, prots[i]) == 0);
	}
	for (size_t i = 0; i < MSN_ARRAY_LEN(wakes); i++) {
		struct msn_futex_key key;

		out[i] = msn_mm_futex_key(f->mm, wakes[i].addr, wakes[i].shared,
					  &key);
		if (out[i] == 0)
			msn_futex_key_put(&key);
	}
}

static void keys_are_refused_as_the_kernel_refuses_them(void)
{
	int *kernel = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t pid;

	CHECK(kernel != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		wake_in_kernel(kernel);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	FOR_BOTH(f, local)
	{
		int engine[MSN_ARRAY_LEN(wakes)];

		wake_in_engine(&f, engine);
		for (size_t i = 0; i < MSN_ARRAY_LEN(wakes); i++) {
			EXPECT(engine[i] == kernel[i]);
			if (engine[i] != kernel[i])
				printf("\n  wake %zu: kernel %d, engine %d\n",
				       i, kernel[i], engine[i]);
		}
	}
	munmap(kernel, PAGE);
}

/* ---- Failures ------------------------------------------------------------ */

static void *prepare_walk(void)
{
	struct fixture *f = malloc(sizeof(*f));

	CHECK(f);
	*f = setup(false);
	map(f->mm, anon(0, 4));
	return f;
}

static int body_walk(void *state)
{
	struct fixture *f = state;
	struct msn_futex_key key;
	uint32_t seen;
	int rc = msn_mm_load32(f->mm, AT(0), &seen);

	if (rc == 0)
		rc = msn_mm_swap32(f->mm, AT(0), 5, &seen);
	if (rc == 0)
		rc = msn_mm_futex_key(f->mm, AT(2), true, &key);
	if (rc == 0)
		msn_futex_key_put(&key);
	return rc;
}

static void verify_walk(void *state, int rc, const char *name)
{
	struct fixture *f = state;

	EXPECT(rc == 0 || (name && rc == -ENOMEM));
	teardown(f);
	free(f);
}

static void every_failure_leaves_the_space_whole(void)
{
	EXPECT(check_every_fault(prepare_walk, body_walk, verify_walk) > 0);
}

int main(int argc, char **argv)
{
	static const struct check_test tests[] = {
		CHECK_TEST(words_are_loaded_swapped_and_compared),
		CHECK_TEST(a_word_must_be_aligned_mapped_and_permitted),
		CHECK_TEST(a_load_copies_no_page),
		CHECK_TEST(a_page_past_the_end_of_an_object_is_a_fault),
		CHECK_TEST(a_file_that_is_not_mapped_here_can_be_loaded_from),
		CHECK_TEST(no_addition_of_two_threads_is_lost),
		CHECK_TEST(a_private_key_is_of_one_space),
		CHECK_TEST(a_shared_key_is_the_objects_and_keeps_it),
		CHECK_TEST(a_private_page_of_a_file_has_a_key_of_its_own),
		CHECK_TEST(keys_are_refused_as_the_kernel_refuses_them),
		CHECK_TEST(every_failure_leaves_the_space_whole),
		{}
	};

	return check_main(argc, argv, "mm atomic", tests);
}
