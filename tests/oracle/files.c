/*
 * Files: made new for each world, deleted while they are open.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/files.h"

#include "base/fd.h"
#include "oracle/side.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

bool file_has_bytes(enum file file)
{
	return file == FILE_MEM || file == FILE_TMP || file == FILE_SEALED ||
	       file == FILE_SEALED_FUTURE;
}

void file_read_state(int fd, struct file_state *out)
{
	ssize_t n = pread(fd, out->data, sizeof(out->data), 0);
	struct stat st;

	if (n < 0 || fstat(fd, &st))
		die("cannot read a file: %m");
	out->len = (size_t)n;
	out->size = (uint64_t)st.st_size;
	out->blocks = (uint64_t)st.st_blocks;
}

static int reopen(int fd, int flags)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	if (again < 0)
		die("cannot open %s again: %m", path);
	return again;
}

/* Bytes that differ from page to page and inside a page. */
static void fill(int fd, size_t bytes, unsigned char seed)
{
	unsigned char buf[4096];

	for (size_t at = 0; at < bytes; at += sizeof(buf)) {
		size_t n = bytes - at < sizeof(buf) ? bytes - at : sizeof(buf);

		for (size_t i = 0; i < n; i++)
			buf[i] = (unsigned char)(seed + at / 4096 + i % 251);
		if (msn_pwrite_full(fd, buf, n, at))
			die("cannot fill a file");
	}
}

/* FILE_MEM_PAGES of a memfd, with these seals. */
static int make_mem(const char *name, int seals)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		die("no memfd: %m");
	fill(fd, FILE_MEM_PAGES * 4096, (unsigned char)(1 + seals));
	if (seals && fcntl(fd, F_ADD_SEALS, seals))
		die("no seal: %m");
	return fd;
}

void files_clean(int pid)
{
	char path[64];

	snprintf(path, sizeof(path), "%s-%d", FILE_TMP_NAME, pid);
	unlink(path);
}

static int make_tmp(bool linked)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s-%d", FILE_TMP_NAME, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		die("cannot make %s: %m", path);
	if (!linked)
		files_clean(getpid());
	return fd;
}

static void set_names(struct files *f)
{
	for (unsigned i = 1; i < FILE_COUNT; i++) {
		char link[64];
		ssize_t n;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", f->fd[i]);
		n = readlink(link, f->name[i], sizeof(f->name[i]) - 1);
		if (n < 0)
			die("cannot read %s: %m", link);
		f->name[i][n] = '\0';
	}
}

void files_open(struct files *f, bool linked)
{
	int pipes[2];

	memset(f, 0, sizeof(*f));
	f->linked = linked;
	f->fd[FILE_NONE] = -1;
	f->fd[FILE_MEM] = make_mem("oracle", 0);
	f->fd[FILE_MEM_RO] = reopen(f->fd[FILE_MEM], O_RDONLY);
	f->fd[FILE_TMP] = make_tmp(linked);
	fill(f->fd[FILE_TMP], FILE_TMP_BYTES, 77);
	f->fd[FILE_TMP_RO] = reopen(f->fd[FILE_TMP], O_RDONLY);
	f->fd[FILE_TMP_WO] = reopen(f->fd[FILE_TMP], O_WRONLY);
	f->fd[FILE_SEALED] = make_mem("oracle-sealed", F_SEAL_WRITE);
	f->fd[FILE_SEALED_FUTURE] =
		make_mem("oracle-future", F_SEAL_FUTURE_WRITE);
	if (pipe2(pipes, O_CLOEXEC))
		die("no pipe: %m");
	f->fd[FILE_PIPE] = pipes[0];
	close(pipes[1]);
	f->fd[FILE_ZERO] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	if (f->fd[FILE_ZERO] < 0)
		die("no /dev/zero: %m");
	set_names(f);
}

void files_close(struct files *f)
{
	for (unsigned i = 0; i < FILE_COUNT; i++)
		f->fd[i] = msn_close(f->fd[i]);
	if (f->linked)
		files_clean(getpid());
}
