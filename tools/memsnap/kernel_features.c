/*
 * Kernel features, each by trying it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel_features.h"

#include "aio/aio.h"
#include "base/alloc.h"
#include "base/fd.h"
#include "procfile/proc_pages.h"
#include "range/range.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What follows is newer than Debian 12's headers. */
#define UFFD_WP_ASYNC (UINT64_C(1) << 15)

#define SMALL_FILE_MAX 16384

static void set(struct msn_feature *f, const char *name, bool there,
		const char *fmt, ...) MSN_PRINTF(4, 5);

static void set(struct msn_feature *f, const char *name, bool there,
		const char *fmt, ...)
{
	va_list args;

	f->name = name;
	f->there = there;
	va_start(args, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, args);
	va_end(args);
}

/* A number in a small file; @otherwise where there is none. */
static int read_number(const char *path, int otherwise)
{
	msn_auto(msn_freep) char *text = NULL;

	if (msn_read_file(&text, NULL, AT_FDCWD, path, SMALL_FILE_MAX))
		return otherwise;
	return (int)strtol(text, NULL, 10);
}

static void probe_uring(struct msn_feature *f)
{
	msn_auto(msn_aio_freep) struct msn_aio *aio = NULL;
	int off = read_number("/proc/sys/kernel/io_uring_disabled", 0);
	int rc = msn_aio_new(&aio,
			     &(struct msn_aio_opts){ .method = MSN_AIO_URING });

	if (!rc)
		set(f, "io_uring", true, "used for the store's I/O");
	else if (off)
		set(f, "io_uring", false,
		    "kernel.io_uring_disabled is %d: plain reads and writes",
		    off);
	else
		set(f, "io_uring", false, "%s: plain reads and writes",
		    strerror(-rc));
}

static int ignore_run(void *ctx, struct msn_addr_range run)
{
	(void)ctx;
	(void)run;
	return 0;
}

/* Scans one page of this program for nothing in particular. */
static int try_pagemap_scan(void)
{
	msn_auto(msn_closep) int fd =
		open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t page = msn_page_down((uint64_t)(uintptr_t)&fd);

	return fd < 0 ? -errno
		      : msn_proc_pages_scan(
				fd,
				(struct msn_addr_range){ page,
							 page + MSN_PAGE_SIZE },
				MSN_PROC_PAGE_PRESENT, ignore_run, NULL);
}

static void probe_pagemap(struct msn_feature *f)
{
	int rc = try_pagemap_scan();

	set(f, "pagemap_scan", rc == 0, "%s",
	    rc ? strerror(-rc) : "finds pages without reading them");
}

/* The features that the kernel offers, or 0 with errno set. */
static uint64_t userfaultfd_features(void)
{
	msn_auto(msn_closep) int fd =
		(int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	struct uffdio_api api = { .api = UFFD_API };

	if (fd < 0 || ioctl(fd, UFFDIO_API, &api) != 0)
		return 0;
	return api.features;
}

static void probe_userfaultfd(struct msn_feature *uffd, struct msn_feature *wp)
{
	uint64_t features = userfaultfd_features();
	int error = errno;

	if (!features) {
		set(uffd, "userfaultfd", false, "%s", strerror(error));
		set(wp, "userfaultfd_wp_async", false, "%s", strerror(error));
		return;
	}
	set(uffd, "userfaultfd", true, "features 0x%llx",
	    (unsigned long long)features);
	set(wp, "userfaultfd_wp_async", (features & UFFD_WP_ASYNC) != 0, "%s",
	    features & UFFD_WP_ASYNC ? "writes are noted by the kernel"
				     : "this kernel does not have it");
}

static void probe_memfd(struct msn_feature *f)
{
	msn_auto(msn_closep) int fd =
		memfd_create("memsnap-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	set(f, "memfd", fd >= 0, "%s",
	    fd >= 0 ? "with seals" : strerror(errno));
}

static bool has_capability(unsigned cap)
{
	msn_auto(msn_freep) char *text = NULL;
	const char *at;

	if (msn_read_file(&text, NULL, AT_FDCWD, "/proc/self/status",
			  SMALL_FILE_MAX))
		return false;
	at = strstr(text, "\nCapEff:");
	return at && strtoull(at + strlen("\nCapEff:"), NULL, 16) >> cap & 1;
}

static void probe_ptrace(struct msn_feature *f)
{
	int scope = read_number("/proc/sys/kernel/yama/ptrace_scope", 0);
	bool cap = has_capability(CAP_SYS_PTRACE);

	if (scope == 3)
		set(f, "ptrace", false, "kernel.yama.ptrace_scope is 3: never");
	else if (cap)
		set(f, "ptrace", true, "any process (CAP_SYS_PTRACE)");
	else if (scope == 0)
		set(f, "ptrace", true, "processes of this user");
	else
		set(f, "ptrace", scope == 1,
		    "kernel.yama.ptrace_scope is %d: %s", scope,
		    scope == 1 ? "own children only" : "needs CAP_SYS_PTRACE");
}

void msn_features_probe(struct msn_feature out[MSN_FEATURE_COUNT])
{
	probe_uring(&out[0]);
	probe_pagemap(&out[1]);
	probe_userfaultfd(&out[2], &out[3]);
	probe_memfd(&out[4]);
	probe_ptrace(&out[5]);
}

void msn_feature_direct_io(const char *path, struct msn_feature *out)
{
	msn_auto(msn_closep) int dir = open(path, O_DIRECTORY | O_CLOEXEC);
	msn_auto(msn_closep) int fd = -1;
	int error;

	if (dir >= 0)
		fd = openat(dir, ".", O_TMPFILE | O_DIRECT | O_RDWR | O_CLOEXEC,
			    0600);
	error = errno;
	/* A store that may only be read: ask one of its files. */
	if (dir >= 0 && fd < 0)
		fd = openat(dir, "memsnap-store",
			    O_RDONLY | O_DIRECT | O_CLOEXEC);
	set(out, "direct_io", fd >= 0, "%s",
	    fd >= 0 ? "the store's file system has O_DIRECT" : strerror(error));
}
