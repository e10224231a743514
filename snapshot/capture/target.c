/*
 * Target: opening, stopping, closing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "capture/target.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Arguments may fill a quarter of the stack limit; these are for people. */
#define CMDLINE_MAX_BYTES (256 * 1024)
/* 22 pairs on Linux 6.18. */
#define AUXV_MAX_BYTES 4096

static int failed(const struct msn_target *t, int rc, struct msn_failure *why)
{
	if (rc == -ENOENT || rc == -ESRCH)
		return msn_failure_set(
			why, -ESRCH, MSN_FAILURE_ABORTED,
			"process %d ended while it was being captured", t->pid);
	if (rc == -EBADMSG)
		return msn_failure_set(why, rc, MSN_FAILURE_INTERNAL,
				       "process %d: cannot make sense of what "
				       "/proc says about it",
				       t->pid);
	return msn_failure_errno(why, rc, "reading process %d", t->pid);
}

static int open_at(const struct msn_target *t, const char *name, int *fd)
{
	*fd = openat(t->proc_fd, name, O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? msn_fail(-errno) : 0;
}

static int read_listing(const struct msn_target *t, const char *name,
			struct msn_proc_maps *out)
{
	msn_auto(msn_closep) int fd = -1;
	int rc = open_at(t, name, &fd);

	return rc ? msn_pass(rc) : msn_pass(msn_proc_maps_read(out, fd));
}

int msn_target_open(struct msn_target *t, pid_t pid, struct msn_failure *why)
{
	char path[32];
	int rc;

	*t = (struct msn_target){
		.pid = pid, .proc_fd = -1, .mem_fd = -1, .pagemap_fd = -1
	};
	rc = msn_tracee_check(pid, why);
	if (rc)
		return msn_pass(rc);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	t->proc_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (t->proc_fd < 0)
		return failed(t, -errno, why);
	rc = msn_proc_status_read(&t->status, t->proc_fd);
	if (rc) {
		t->proc_fd = msn_close(t->proc_fd);
		return failed(t, rc, why);
	}
	/* Where this fails, the stop will say why; see read_maps(). */
	if (read_listing(t, "smaps", &t->before))
		t->before = (struct msn_proc_maps){ 0 };
	return 0;
}

/* A link's text; "" when it cannot be read. */
static int read_link(const struct msn_target *t, const char *name, char **out)
{
	char buf[PATH_MAX + 16];
	ssize_t n = readlinkat(t->proc_fd, name, buf, sizeof(buf) - 1);

	buf[n < 0 ? 0 : n] = '\0';
	*out = msn_strdup(buf);
	return *out ? 0 : msn_fail(-ENOMEM);
}

/*
 * A file's bytes, for people: a process that owns no arguments any more, or
 * too many, has none.
 */
static int read_text(const struct msn_target *t, const char *name, size_t max,
		     char **out, size_t *len)
{
	int rc = msn_read_file(out, len, t->proc_fd, name, max);

	if (rc == 0 || rc == -ENOMEM)
		return msn_pass(rc);
	*len = 0;
	*out = msn_strdup("");
	return *out ? 0 : msn_fail(-ENOMEM);
}

static int read_texts(struct msn_target *t)
{
	int rc;

	rc = read_text(t, "cmdline", CMDLINE_MAX_BYTES, &t->cmdline,
		       &t->cmdline_len);
	if (rc == 0)
		rc = read_text(t, "auxv", AUXV_MAX_BYTES, &t->auxv,
			       &t->auxv_len);
	if (rc == 0)
		rc = read_link(t, "exe", &t->exe);
	if (rc == 0)
		rc = read_link(t, "cwd", &t->cwd);
	return msn_pass(rc);
}

/* The pid may have passed to another process before the first stop. */
static int same_process(const struct msn_target *t)
{
	struct msn_proc_status now;
	int rc = msn_proc_status_read(&now, t->proc_fd);

	if (rc)
		return msn_pass(rc);
	return now.start_ticks == t->status.start_ticks ? 0 : msn_fail(-ESRCH);
}

static bool same_line(const struct msn_proc_map *a,
		      const struct msn_proc_map *b)
{
	return a->addr.start == b->addr.start && a->addr.end == b->addr.end &&
	       a->perms == b->perms && a->shared == b->shared &&
	       a->offset == b->offset && a->inode == b->inode &&
	       a->dev_major == b->dev_major && a->dev_minor == b->dev_minor &&
	       strcmp(a->name, b->name) == 0;
}

static bool same_lines(const struct msn_proc_maps *a,
		       const struct msn_proc_maps *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!same_line(&a->list[i], &b->list[i]))
			return false;
	return true;
}

/*
 * To list smaps the kernel counts every page, which takes as long as reading a
 * tenth of them: too long for a process that stands still.  What is wanted of
 * it are the flags; they belong to a mapping from its birth on (but for a lock,
 * which may be a moment old), so that those from before the stop serve, if the
 * mappings are still the same.
 */
static int read_maps(struct msn_target *t)
{
	int rc = read_listing(t, "maps", &t->maps);

	if (rc)
		return msn_pass(rc);
	if (same_lines(&t->before, &t->maps)) {
		msn_proc_maps_deinit(&t->maps);
		t->maps = t->before;
		t->before = (struct msn_proc_maps){ 0 };
		return 0;
	}
	msn_proc_maps_deinit(&t->maps);
	t->maps = (struct msn_proc_maps){ 0 };
	rc = read_listing(t, "smaps", &t->maps);
	/* smaps is left out of some kernels: rights may then grow freely */
	if (rc == -ENOENT)
		rc = read_listing(t, "maps", &t->maps);
	return msn_pass(rc);
}

static int open_memory(struct msn_target *t)
{
	int rc;

	rc = same_process(t);
	if (rc == 0)
		rc = open_at(t, "mem", &t->mem_fd);
	if (rc == 0)
		rc = open_at(t, "pagemap", &t->pagemap_fd);
	if (rc == 0)
		rc = msn_procfile_new(&t->pf, &(struct msn_procfile_opts){
						      .pid = t->pid,
						      .mem_fd = t->mem_fd,
					      });
	if (rc == 0)
		rc = read_maps(t);
	if (rc == 0)
		rc = read_texts(t);
	return msn_pass(rc);
}

int msn_target_stop(struct msn_target *t, struct msn_failure *why)
{
	const struct msn_tracee_opts opts = { .pid = t->pid };
	int rc;

	rc = msn_tracee_stop(&t->tracee, &opts, why);
	if (rc)
		return msn_pass(rc);
	rc = open_memory(t);
	if (rc == -E2BIG)
		return msn_failure_set(why, rc, MSN_FAILURE_EXHAUSTED,
				       "process %d has too many mappings",
				       t->pid);
	if (rc)
		return failed(t, rc, why);
	if (t->maps.count == 0)
		return failed(t, -ESRCH, why);
	return 0;
}

void msn_target_close(struct msn_target *t)
{
	t->tracee = msn_tracee_free(t->tracee);
	t->pf = msn_procfile_free(t->pf);
	msn_proc_maps_deinit(&t->maps);
	msn_proc_maps_deinit(&t->before);
	free(t->cmdline);
	free(t->auxv);
	free(t->exe);
	free(t->cwd);
	t->cmdline = t->auxv = t->exe = t->cwd = NULL;
	t->mem_fd = msn_close(t->mem_fd);
	t->pagemap_fd = msn_close(t->pagemap_fd);
	t->proc_fd = msn_close(t->proc_fd);
}

/* 1: the page is there; 0: it is not; or -errno. */
static int probe(const struct msn_target *t, uint64_t addr)
{
	char byte;
	ssize_t n;

	do {
		n = pread(t->mem_fd, &byte, 1, (off_t)addr);
	} while (n < 0 && errno == EINTR);
	if (n == 1)
		return 1;
	if (n == 0)
		return msn_fail(-ESRCH);
	return errno == EIO || errno == EFAULT ? 0 : msn_fail(-errno);
}

int msn_target_readable(const struct msn_target *t, uint64_t addr, uint64_t len,
			uint64_t *out)
{
	uint64_t low = 0, high = len >> MSN_PAGE_SHIFT; /* pages */

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;
		int rc = probe(t, addr + (mid << MSN_PAGE_SHIFT));

		if (rc < 0)
			return msn_pass(rc);
		if (rc)
			low = mid + 1;
		else
			high = mid;
	}
	*out = low << MSN_PAGE_SHIFT;
	return 0;
}
