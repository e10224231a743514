/*
 * Files: what the steps map and write, once for each side.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A file of the list is an open file: several may be of one inode.
 */
#ifndef MSN_TESTS_ORACLE_FILES_H
#define MSN_TESTS_ORACLE_FILES_H

#include <stdbool.h>

enum file {
	FILE_NONE,   /* no descriptor at all */
	FILE_MEM,    /* a memfd */
	FILE_MEM_RO, /* the same inode, read-only */
	FILE_TMP,    /* a file of a tmpfs */
	FILE_TMP_RO,
	FILE_TMP_WO,
	FILE_SEALED,	    /* a memfd with F_SEAL_WRITE */
	FILE_SEALED_FUTURE, /* a memfd with F_SEAL_FUTURE_WRITE */
	FILE_PIPE,	    /* nothing that can be mapped */
	FILE_ZERO,	    /* /dev/zero: anonymous memory with a name */
	FILE_COUNT
};

#define FILE_MEM_PAGES 8
#define FILE_TMP_BYTES (5 * 4096 + 1234)
#define FILE_MAX_PAGES 32

struct files {
	int fd[FILE_COUNT];	   /* -1 for FILE_NONE */
	char name[FILE_COUNT][64]; /* as maps shows it */
	bool linked;		   /* FILE_TMP still has its name */
};

/* The name of FILE_TMP begins so. */
#define FILE_TMP_NAME "/dev/shm/memsnap-oracle"

/* Has it bytes to compare, and is it the first descriptor of its inode? */
bool file_has_bytes(enum file file);

struct file_state;

/* Reads a file by its descriptor, which leaves its holes alone. */
void file_read_state(int fd, struct file_state *out);

/* @linked: FILE_TMP can be found again by its name. */
void files_open(struct files *f, bool linked);
void files_close(struct files *f);

/* Removes what a process that ended without closing its files left. */
void files_clean(int pid);

#endif /* MSN_TESTS_ORACLE_FILES_H */
