/*
 * mm: calls on a space without page tables, each beside the system call of the
 * same name on a process that is laid out alike.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/alloc.h"
#include "bench.h"
#include "benches.h"
#include "limits.h"
#include "memfile/memfile.h"
#include "mm/mm.h"
#include "mm/mm_calls.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE MSN_PAGE_SIZE
#define FEW 1000
#define MANY 1000000
#define GIB (UINT64_C(1) << 30)

/* Calls that are timed together. */
#define CALLS 20000

/* A space, or this process, with @count mappings of two pages and a hole. */
struct ground {
	struct msn_memfile *mf;
	struct msn_mm *mm;
	char *base; /* of the process's */
	size_t count;
	int pagemap;
};

/* Where mapping @i of a space is; three pages further than the one before. */
static uint64_t at(size_t i)
{
	return UINT64_C(0x100000000000) + i * 3 * PAGE;
}

static struct msn_mm *space_new(struct msn_memfile *mf)
{
	struct msn_address_space *as;
	struct msn_mm *mm;
	int rc = msn_platform_none_new(&as);

	if (rc == 0)
		rc = msn_mm_new(
			&mm, &(struct msn_mm_opts){ .memfile = mf, .as = as });
	if (rc)
		bench_die("making a space", rc, NULL);
	return mm;
}

static void space_map(struct msn_mm *mm, uint64_t addr, uint64_t length)
{
	struct msn_mmap_opts o = { .length = length,
				   .addr = addr,
				   .fixed = true,
				   .unmap = true,
				   .perms = MSN_ACCESS_READ | MSN_ACCESS_WRITE,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	int rc = msn_mm_mmap(mm, &o, &addr);

	if (rc)
		bench_die("mapping", rc, NULL);
}

static void *process_map(void *addr, size_t length)
{
	void *p = mmap(addr, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | (addr ? MAP_FIXED : 0), -1,
		       0);

	if (p == MAP_FAILED)
		bench_die("mapping", -1, "mmap of the kernel failed");
	return p;
}

static void touch(struct ground *g, size_t i)
{
	size_t done;
	int rc = msn_mm_copy_out(g->mm, at(i), "x", 1, (struct msn_mm_io){ 0 },
				 &done);

	if (rc)
		bench_die("writing", rc, NULL);
}

static void ground_make(struct ground *g, size_t count, bool process)
{
	int rc = msn_memfile_new(&g->mf, &(struct msn_memfile_opts){ 0 });

	if (rc)
		bench_die("making a memory file", rc, NULL);
	g->count = count;
	g->mm = space_new(g->mf);
	for (size_t i = 0; i < count; i++)
		space_map(g->mm, at(i), 2 * PAGE);
	for (size_t i = 0; i < count; i += count / FEW)
		touch(g, i);
	g->base = NULL;
	g->pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (!process)
		return;
	g->base = process_map(NULL, count * 3 * PAGE);
	for (size_t i = 0; i < count; i++) {
		munmap(g->base + (3 * i + 2) * PAGE, PAGE);
		g->base[3 * i * PAGE] = 'x';
	}
}

static void ground_free(struct ground *g)
{
	if (g->base)
		munmap(g->base, g->count * 3 * PAGE);
	close(g->pagemap);
	msn_mm_free(g->mm);
	msn_memfile_free(g->mf);
}

/* Steps through the mappings in an order that no prefetcher likes. */
static size_t pick(const struct ground *g, size_t n)
{
	return n * 7919 % FEW * (g->count / FEW);
}

typedef void (*call_fn)(struct ground *g, size_t i);

static double timed(struct ground *g, call_fn fn, size_t calls)
{
	double start = bench_now();

	for (size_t n = 0; n < calls; n++)
		fn(g, pick(g, n));
	return bench_now() - start;
}

/* ---- The calls, of the engine and of the kernel -------------------------- */

static void must(int rc, const char *what)
{
	if (rc)
		bench_die(what, rc < 0 ? rc : -1, NULL);
}

static void our_map(struct ground *g, size_t i)
{
	space_map(g->mm, at(i) + 2 * PAGE, PAGE);
	must(msn_mm_munmap(g->mm, at(i) + 2 * PAGE, PAGE), "unmapping");
}

static void kernel_map(struct ground *g, size_t i)
{
	process_map(g->base + (3 * i + 2) * PAGE, PAGE);
	must(munmap(g->base + (3 * i + 2) * PAGE, PAGE), "munmap");
}

static void our_protect(struct ground *g, size_t i)
{
	must(msn_mm_mprotect(g->mm, at(i), PAGE, PROT_READ), "protecting");
	must(msn_mm_mprotect(g->mm, at(i), PAGE, PROT_READ | PROT_WRITE),
	     "protecting");
}

static void kernel_protect(struct ground *g, size_t i)
{
	char *p = g->base + 3 * i * PAGE;

	must(mprotect(p, PAGE, PROT_READ), "mprotect");
	must(mprotect(p, PAGE, PROT_READ | PROT_WRITE), "mprotect");
}

/* The page is there: it has to be found, and the rights looked at. */
static void our_fault(struct ground *g, size_t i)
{
	must(msn_mm_handle_fault(g->mm, at(i), MSN_ACCESS_WRITE), "faulting");
}

/* The kernel's least: madvise() takes the page away and is not counted. */
static double kernel_fault(struct ground *g, size_t calls)
{
	int fd = memfd_create("bench", MFD_CLOEXEC);
	double sum = 0;
	char *p;

	must(ftruncate(fd, FEW * PAGE), "ftruncate");
	p = mmap(NULL, FEW * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_POPULATE, fd, 0);
	for (size_t n = 0; n < calls; n += FEW) {
		double start;

		madvise(p, FEW * PAGE, MADV_DONTNEED);
		start = bench_now();
		for (size_t i = 0; i < FEW; i++)
			*(volatile char *)(p + i * 7919 % FEW * PAGE) = 'x';
		sum += bench_now() - start;
	}
	munmap(p, FEW * PAGE);
	close(fd);
	(void)g;
	return sum;
}

static void our_translate(struct ground *g, size_t i)
{
	uint64_t word;

	must(msn_mm_pagemap(g->mm, at(i), 1, &word), "looking");
}

static void kernel_translate(struct ground *g, size_t i)
{
	uint64_t page = ((uintptr_t)g->base >> MSN_PAGE_SHIFT) + 3 * i, word;

	must(pread(g->pagemap, &word, 8, (off_t)(page * 8)) != 8, "pagemap");
}

/* ---- Rows ---------------------------------------------------------------- */

static void add_row(const char *what, const char *limit, struct bench_series *s,
		    size_t calls, double goal)
{
	struct bench_row row;

	for (unsigned i = 0; i < s->rounds; i++) {
		s->subject[i] /= (double)calls;
		s->limit[i] /= (double)calls;
	}
	row = bench_row(s, 0);
	row.bench = "mm";
	row.what = what;
	row.limit_name = limit;
	row.goal = goal;
	row.goal_is_most = true;
	bench_add(&row);
}

static void against_kernel(const struct bench_opts *o)
{
	static const struct {
		const char *what, *peer;
		call_fn ours, kernels;
	} calls[] = {
		{ "map and unmap, 1000 mappings", "mmap, munmap", our_map,
		  kernel_map },
		{ "protect twice, 1000 mappings", "mprotect twice", our_protect,
		  kernel_protect },
		{ "look at a page, 1000 mappings", "pread of pagemap",
		  our_translate, kernel_translate },
		{ "fault, page there, 1000 mappings",
		  "minor fault of a memfd page", our_fault, NULL },
	};
	struct ground g;

	ground_make(&g, FEW, true);
	for (size_t k = 0; k < MSN_ARRAY_LEN(calls); k++) {
		struct bench_series s = { .rounds = o->rounds };

		for (unsigned i = 0; i < o->rounds; i++) {
			s.limit[i] =
				calls[k].kernels
					? timed(&g, calls[k].kernels, CALLS)
					: kernel_fault(&g, CALLS);
			s.subject[i] = timed(&g, calls[k].ours, CALLS);
		}
		add_row(calls[k].what, calls[k].peer, &s, CALLS, 0.5);
	}
	ground_free(&g);
}

static void against_few(const struct bench_opts *o)
{
	static const struct {
		const char *what;
		call_fn fn;
	} calls[] = {
		{ "map and unmap, 1000000 mappings", our_map },
		{ "protect twice, 1000000 mappings", our_protect },
		{ "look at a page, 1000000 mappings", our_translate },
		{ "fault, page there, 1000000", our_fault },
	};
	struct ground few, many;

	ground_make(&few, FEW, false);
	ground_make(&many, MANY, false);
	for (size_t k = 0; k < MSN_ARRAY_LEN(calls); k++) {
		struct bench_series s = { .rounds = o->rounds };

		for (unsigned i = 0; i < o->rounds; i++) {
			s.limit[i] = timed(&few, calls[k].fn, CALLS);
			s.subject[i] = timed(&many, calls[k].fn, CALLS);
		}
		add_row(calls[k].what, "ours with 1000", &s, CALLS, 3);
	}
	ground_free(&many);
	ground_free(&few);
}

/* ---- Copies -------------------------------------------------------------- */

static double copy(struct msn_mm *mm, char *buf, size_t len, bool out,
		   size_t times)
{
	double start = bench_now();
	size_t done;

	for (size_t i = 0; i < times; i++) {
		uint64_t addr = at(0) + i * len % (len * 8);

		must(out ? msn_mm_copy_out(mm, addr, buf, len,
					   (struct msn_mm_io){ 0 }, &done)
			 : msn_mm_copy_in(mm, addr, buf, len,
					  (struct msn_mm_io){ 0 }, &done),
		     "copying");
	}
	return bench_now() - start;
}

static double plain_copy(char *there, char *buf, size_t len, bool out,
			 size_t times)
{
	double start = bench_now();

	for (size_t i = 0; i < times; i++) {
		char *p = there + i * len % (len * 8);

		memcpy(out ? p : buf, out ? buf : p, len);
		__asm__ volatile("" : : "r"(p), "r"(buf) : "memory");
	}
	return bench_now() - start;
}

static double read_8(int fd, size_t times)
{
	double start = bench_now();
	uint64_t word;

	for (size_t i = 0; i < times; i++)
		must(pread(fd, &word, 8, (off_t)(i * 8 % 64)) != 8, "pread");
	return bench_now() - start;
}

static void copies(const struct bench_opts *o)
{
	static const size_t lens[] = { (size_t)64 << 10, (size_t)1 << 20 };
	struct bench_series s = { .rounds = o->rounds };
	struct msn_memfile *mf;
	struct msn_mm *mm;
	char *buf = process_map(NULL, (size_t)1 << 20);
	char *there = process_map(NULL, (size_t)8 << 20);
	int fd = memfd_create("bench", MFD_CLOEXEC);

	must(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }), "memfile");
	mm = space_new(mf);
	space_map(mm, at(0), 8 << 20);
	memset(buf, 1, (size_t)1 << 20);
	memset(there, 1, (size_t)8 << 20);
	copy(mm, buf, (size_t)1 << 20, true, 8);
	for (size_t k = 0; k < 2 * MSN_ARRAY_LEN(lens); k++) {
		size_t len = lens[k / 2], times = ((size_t)256 << 20) / len;
		bool out = k % 2;
		struct bench_row row;

		for (unsigned i = 0; i < o->rounds; i++) {
			s.limit[i] = plain_copy(there, buf, len, out, times);
			s.subject[i] = copy(mm, buf, len, out, times);
		}
		row = bench_row(&s, (uint64_t)256 << 20);
		row.bench = "mm";
		row.what =
			out ? (k < 2 ? "copy out, 64 KiB" : "copy out, 1 MiB")
			    : (k < 2 ? "copy in, 64 KiB" : "copy in, 1 MiB");
		row.limit_name = "memcpy of the same";
		row.goal = 0.95;
		bench_add(&row);
	}
	must(ftruncate(fd, PAGE), "ftruncate");
	must(pwrite(fd, buf, PAGE, 0) != PAGE, "pwrite");
	for (unsigned i = 0; i < o->rounds; i++) {
		s.limit[i] = read_8(fd, CALLS);
		s.subject[i] = copy(mm, buf, 8, false, CALLS);
	}
	add_row("copy in, 8 bytes", "pread of 8 bytes of a memfd", &s, CALLS,
		0.2);
	close(fd);
	msn_mm_free(mm);
	msn_memfile_free(mf);
	munmap(buf, (size_t)1 << 20);
	munmap(there, (size_t)8 << 20);
}

/* ---- Fork ---------------------------------------------------------------- */

static double our_fork(struct msn_mm *mm, struct msn_mm **child)
{
	struct msn_address_space *as;
	double start = bench_now();

	must(msn_platform_none_new(&as), "platform");
	must(msn_mm_fork(mm, as, child), "forking");
	return bench_now() - start;
}

static double kernel_fork(void)
{
	double start = bench_now();
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	start = bench_now() - start;
	waitpid(pid, NULL, 0);
	return start;
}

/* Writes one byte into each of @pages pages, a MiB apart. */
static double our_writes(struct msn_mm *mm, size_t pages)
{
	double start = bench_now();
	size_t done;

	for (size_t i = 0; i < pages; i++)
		must(msn_mm_copy_out(mm, at(0) + (i << 20), "y", 1,
				     (struct msn_mm_io){ 0 }, &done),
		     "writing");
	return bench_now() - start;
}

static void forks(const struct bench_opts *o)
{
	struct bench_series s = { .rounds = o->rounds };
	struct msn_memfile *mf;
	struct msn_mm *mm;
	char *there = process_map(NULL, GIB);
	size_t done;

	madvise(there, GIB, MADV_NOHUGEPAGE);
	memset(there, 1, GIB);
	must(msn_memfile_new(&mf, &(struct msn_memfile_opts){ 0 }), "memfile");
	mm = space_new(mf);
	space_map(mm, at(0), GIB);
	must(msn_mm_copy_out(mm, at(0), there, GIB, (struct msn_mm_io){ 0 },
			     &done),
	     "filling");
	for (unsigned i = 0; i < o->rounds; i++) {
		uint64_t before = msn_memfile_used(mf);
		struct msn_mm *child;

		s.limit[i] = kernel_fork();
		s.subject[i] = our_fork(mm, &child);
		our_writes(child, 100);
		if (msn_memfile_used(mf) - before != 100 * PAGE)
			bench_die("a write after a fork", -1,
				  "copied more than its page");
		msn_mm_free(child);
	}
	add_row("fork of 1 GiB of private pages", "fork of a process with them",
		&s, 1, 0.2);
	msn_mm_free(mm);
	msn_memfile_free(mf);
	munmap(there, GIB);
}

void bench_mm(const struct bench_opts *o)
{
	against_kernel(o);
	against_few(o);
	copies(o);
	forks(o);
}
