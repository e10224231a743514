/*
 * Procfile: process_vm_readv() in batches, /proc/PID/mem for what it refuses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "procfile/procfile.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/fault.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * Bytes of one call.  A call of a few MiB keeps the cost of the call itself
 * below 1 % and can still be interrupted soon.
 */
#define CALL_BYTES (4u << 20)

struct msn_procfile {
	struct msn_file file;
	pid_t pid;		     /* set once */
	int mem_fd;		     /* set once, borrowed */
	_Atomic uint64_t read_bytes; /* a statistic: relaxed */
};

static struct msn_procfile *procfile(struct msn_file *file);

static void count_bytes(struct msn_procfile *pf, size_t n)
{
	atomic_fetch_add_explicit(&pf->read_bytes, n, memory_order_relaxed);
}

/*
 * Reads what process_vm_readv() refused.  No bytes at all means that the
 * process has no memory any more; an error, that this page does not exist.
 */
static int read_mem(struct msn_procfile *pf, uint64_t offset, void *buf,
		    size_t len, size_t *done)
{
	*done = 0;
	while (*done < len) {
		ssize_t n = pread(pf->mem_fd, (char *)buf + *done, len - *done,
				  (off_t)(offset + *done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EIO || errno == EFAULT))
			return MSN_FILE_E_BUS;
		if (n < 0)
			return msn_fail(-errno);
		if (n == 0)
			return msn_fail(-ESRCH);
		*done += (size_t)n;
		count_bytes(pf, (size_t)n);
	}
	return 0;
}

/* A batch on its way: piece @at, of which @done bytes are there. */
struct progress {
	const struct msn_file_io *io;
	size_t count, at, done;
};

/* Lays out as many pieces as one call takes; returns how many. */
static size_t lay_out(const struct progress *p, struct iovec *local,
		      struct iovec *remote)
{
	size_t n = 0, bytes = 0;

	for (size_t i = p->at; i < p->count && n < IOV_MAX; i++) {
		size_t skip = i == p->at ? p->done : 0;
		size_t len = p->io[i].len - skip;

		if (len > CALL_BYTES - bytes)
			len = CALL_BYTES - bytes;
		local[n] = (struct iovec){ (char *)p->io[i].buf + skip, len };
		remote[n++] = (struct iovec){
			(void *)(uintptr_t)(p->io[i].offset + skip), len
		};
		bytes += len;
		if (bytes == CALL_BYTES)
			break;
	}
	return n;
}

static void advance(struct progress *p, size_t bytes)
{
	while (p->at < p->count) {
		size_t left = p->io[p->at].len - p->done;

		if (bytes < left) {
			p->done += bytes;
			return;
		}
		bytes -= left;
		p->at++;
		p->done = 0;
	}
}

/* Reads the rest of the present piece the other way. */
static int refused(struct msn_procfile *pf, struct progress *p)
{
	const struct msn_file_io *io = &p->io[p->at];
	size_t done;
	int rc;

	rc = read_mem(pf, io->offset + p->done, (char *)io->buf + p->done,
		      io->len - p->done, &done);
	advance(p, done);
	return msn_pass(rc);
}

static int read_pieces(struct msn_procfile *pf, struct progress *p)
{
	struct iovec local[IOV_MAX], remote[IOV_MAX];

	advance(p, 0); /* past empty pieces */
	while (p->at < p->count) {
		size_t n = lay_out(p, local, remote);
		ssize_t got;
		int rc = 0;

		if (msn_fault("procfile.read"))
			return msn_fail(-EIO);
		got = process_vm_readv(pf->pid, local, n, remote, n, 0);
		if (got > 0) {
			count_bytes(pf, (size_t)got);
			advance(p, (size_t)got);
		} else if (got == 0 || errno == EFAULT) {
			rc = refused(pf, p);
		} else if (errno != EINTR) {
			rc = -errno;
		}
		if (rc)
			return msn_pass(rc);
	}
	return 0;
}

static int buffer_read_at(struct msn_file *file, uint64_t offset, void *buf,
			  size_t len, size_t *done)
{
	const struct msn_file_io io = { offset, buf, len };
	struct progress p = { .io = &io, .count = 1 };
	int rc = read_pieces(procfile(file), &p);

	*done = p.at == 1 ? len : p.done;
	return msn_pass(rc);
}

static int buffer_read_batch(struct msn_file *file,
			     const struct msn_file_io *io, size_t count)
{
	struct progress p = { .io = io, .count = count };

	return msn_pass(read_pieces(procfile(file), &p));
}

static const struct msn_file_ops procfile_ops = {
	.name = "procfile",
	.buffer_read_at = buffer_read_at,
	.buffer_read_batch = buffer_read_batch,
};

static struct msn_procfile *procfile(struct msn_file *file)
{
	msn_assert(file->ops == &procfile_ops);
	return msn_container_of(file, struct msn_procfile, file);
}

int msn_procfile_new(struct msn_procfile **out,
		     const struct msn_procfile_opts *opts)
{
	struct msn_procfile *pf = msn_alloc(sizeof(*pf));

	if (!pf)
		return msn_fail(-ENOMEM);
	pf->file.ops = &procfile_ops;
	pf->pid = opts->pid;
	pf->mem_fd = opts->mem_fd;
	*out = pf;
	return 0;
}

struct msn_procfile *msn_procfile_free(struct msn_procfile *pf)
{
	free(pf);
	return NULL;
}

struct msn_file *msn_procfile_file(struct msn_procfile *pf)
{
	return &pf->file;
}

uint64_t msn_procfile_read_bytes(const struct msn_procfile *pf)
{
	return atomic_load_explicit(&pf->read_bytes, memory_order_relaxed);
}
