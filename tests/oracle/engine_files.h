/*
 * Engine files: the engine's copy of the files.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * What is a memfd to the kernel is an object of engine/shmem here; what is a
 * file of a tmpfs is a host file.  Each open file has an identity of its own
 * over the mappable of its inode.
 */
#ifndef MSN_TESTS_ORACLE_ENGINE_FILES_H
#define MSN_TESTS_ORACLE_ENGINE_FILES_H

#include "hostfile/hostfile.h"
#include "mm/mm_calls.h"
#include "oracle/files.h"
#include "oracle/side.h"
#include "shmem/shmem.h"

/* An inode: one of the two, or neither for what cannot be mapped. */
struct engine_inode {
	struct msn_shmem *shmem;
	struct msn_hostfile *host;
	int fd; /* of the host file */
};

struct engine_files {
	struct files files; /* where names and host files come from */
	struct engine_inode inode[FILE_COUNT];
	struct msn_open_file open[FILE_COUNT];
};

/* @linked: the host file can be found again by its name. */
void engine_files_open(struct engine_files *f, struct msn_memfile *mf,
		       bool linked);
void engine_files_close(struct engine_files *f);

/* Where a space maps each open file; 0: nowhere. */
struct engine_files_places {
	uint64_t at[FILE_COUNT];
};

void engine_files_find(const struct engine_files *f, struct msn_mm *mm,
		       struct engine_files_places *out);

/*
 * The descriptors are of what @mm, a clone of the space that was asked, has
 * there now.
 */
void engine_files_follow(struct engine_files *f, struct msn_mm *mm,
			 const struct engine_files_places *places);

/* NULL: no such descriptor. */
const struct msn_open_file *engine_files_get(struct engine_files *f,
					     uint64_t file);
void engine_files_read_state(struct engine_files *f, unsigned file,
			     struct file_state *out);

/* As the calls on a descriptor: bytes or 0, or -errno. */
int64_t engine_files_write(struct engine_files *f, uint64_t file,
			   const void *buf, size_t len, uint64_t offset);
int64_t engine_files_truncate(struct engine_files *f, uint64_t file,
			      uint64_t size);
/* @mode: 0, or FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE. */
int64_t engine_files_allocate(struct engine_files *f, uint64_t file, int mode,
			      uint64_t offset, uint64_t len);

#endif /* MSN_TESTS_ORACLE_ENGINE_FILES_H */
