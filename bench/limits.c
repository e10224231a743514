/*
 * Physical limits, each as short as it can be written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "limits.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK (UINT64_C(1) << 20)
#define DEPTH 4

static char *buffers[DEPTH];

static void make_buffers(void)
{
	for (int i = 0; i < DEPTH && !buffers[DEPTH - 1]; i++) {
		if (posix_memalign((void **)&buffers[i], 4096, CHUNK))
			bench_die("raw write", -ENOMEM, NULL);
		memset(buffers[i], 'x' + i, CHUNK);
	}
}

static void reap(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int rc = io_uring_wait_cqe(ring, &cqe);

	if (rc < 0 || cqe->res < 0)
		bench_die("raw write", rc < 0 ? rc : cqe->res, NULL);
	io_uring_cqe_seen(ring, cqe);
}

static void write_chunk(struct io_uring *ring, int fd, uint64_t at,
			uint64_t len)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	int slot = (int)(at / CHUNK % DEPTH);

	io_uring_prep_write_fixed(sqe, fd, buffers[slot], (unsigned)len, at,
				  slot);
	io_uring_submit(ring);
}

double limit_raw_write(int fd, uint64_t bytes)
{
	struct iovec iov[DEPTH];
	struct io_uring ring;
	unsigned in_flight = 0;
	double start;

	make_buffers();
	for (int i = 0; i < DEPTH; i++)
		iov[i] = (struct iovec){ buffers[i], CHUNK };
	if (io_uring_queue_init(DEPTH * 2, &ring, 0) < 0 ||
	    io_uring_register_buffers(&ring, iov, DEPTH) < 0)
		bench_die("raw write", -ENOSYS, "io_uring is not to be had");
	start = bench_now();
	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		if (in_flight == DEPTH) {
			reap(&ring);
			in_flight--;
		}
		write_chunk(&ring, fd, at,
			    bytes - at < CHUNK ? bytes - at : CHUNK);
		in_flight++;
	}
	while (in_flight-- > 0)
		reap(&ring);
	if (fdatasync(fd) < 0)
		bench_die("raw write", -errno, NULL);
	start = bench_now() - start;
	io_uring_queue_exit(&ring);
	return start;
}

int limit_open_preallocated(const char *dir, uint64_t bytes)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/raw-XXXXXX", dir);
	fd = mkostemp(path, O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		bench_die(path, -errno, NULL);
	unlink(path);
	if (posix_fallocate(fd, 0, (off_t)bytes))
		bench_die(path, -ENOSPC, NULL);
	limit_raw_write(fd, bytes);
	return fd;
}

static char *map_anonymous(uint64_t bytes)
{
	char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		bench_die("memory", -errno, NULL);
	return p;
}

double limit_memcpy(uint64_t bytes)
{
	char *a = map_anonymous(bytes), *b = map_anonymous(bytes);
	double start;

	memset(a, 'a', bytes);
	memset(b, 'b', bytes);
	start = bench_now();
	memcpy(b, a, bytes);
	__asm__ volatile("" ::"r"(b) : "memory");
	start = bench_now() - start;
	munmap(a, bytes);
	munmap(b, bytes);
	return start;
}

double limit_fill_memfd(uint64_t bytes)
{
	int fd = memfd_create("limit", MFD_CLOEXEC);
	char *from = map_anonymous(CHUNK), *to;
	double start;

	memset(from, 'a', CHUNK);
	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		bench_die("memfd", -errno, NULL);
	start = bench_now();
	to = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (to == MAP_FAILED)
		bench_die("memfd", -errno, NULL);
	for (uint64_t at = 0; at < bytes; at += CHUNK)
		memcpy(to + at, from, bytes - at < CHUNK ? bytes - at : CHUNK);
	start = bench_now() - start;
	munmap(to, bytes);
	munmap(from, CHUNK);
	close(fd);
	return start;
}

double limit_uring_read(int fd, char *buf, const uint64_t *at, size_t count,
			size_t piece, unsigned depth)
{
	static struct io_uring ring;
	static unsigned made;
	unsigned in_flight = 0;
	size_t next = 0;
	double start;

	if (made != depth) {
		if (made)
			io_uring_queue_exit(&ring);
		if (io_uring_queue_init(depth, &ring, 0) < 0)
			bench_die("reading", -ENOSYS,
				  "io_uring is not to be had");
		made = depth;
	}
	start = bench_now();
	while (next < count || in_flight > 0) {
		for (; next < count && in_flight < depth; next++, in_flight++)
			io_uring_prep_read(io_uring_get_sqe(&ring), fd,
					   buf + next * piece, (unsigned)piece,
					   at[next]);
		if (io_uring_sq_ready(&ring))
			io_uring_submit(&ring);
		reap(&ring);
		in_flight--;
	}
	return bench_now() - start;
}

double limit_process_read(pid_t pid, uint64_t start, uint64_t bytes)
{
	double begun;

	make_buffers();
	begun = bench_now();
	for (uint64_t at = 0; at < bytes; at += CHUNK) {
		size_t len = bytes - at < CHUNK ? bytes - at : CHUNK;
		struct iovec here = { buffers[0], len };
		struct iovec there = { (void *)(uintptr_t)(start + at), len };

		if (process_vm_readv(pid, &here, 1, &there, 1, 0) !=
		    (ssize_t)len)
			bench_die("process_vm_readv", -errno, NULL);
	}
	return bench_now() - begun;
}
