/*
 * Core file: what its sources share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_COREFILE_COREFILE_INTERNAL_H
#define MSN_COREFILE_COREFILE_INTERNAL_H

#include "corefile/corefile.h"
#include "format/manifest.h"
#include "range/range.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- out.c: a file written from front to back ---------------------------- */

#define MSN_CORE_BUFFER_BYTES (1u << 20)

struct msn_core_out {
	int fd;
	uint64_t at;	  /* offset of what comes next */
	uint64_t written; /* bytes that are no holes */
	uint8_t *buf;	  /* MSN_CORE_BUFFER_BYTES */
	size_t used;	  /* of @buf, which ends at @at */
};

MSN_MUST_CHECK int msn_core_out_init(struct msn_core_out *o, int fd);
void msn_core_out_deinit(struct msn_core_out *o);

MSN_MUST_CHECK int msn_core_out_write(struct msn_core_out *o, const void *data,
				      size_t len);

/* Zero bytes up to the next multiple of @align. */
MSN_MUST_CHECK int msn_core_out_align(struct msn_core_out *o, uint64_t align);

/* Writes out what is buffered. */
MSN_MUST_CHECK int msn_core_out_flush(struct msn_core_out *o);

/* Flushes and moves on to @offset: a hole between. */
MSN_MUST_CHECK int msn_core_out_seek(struct msn_core_out *o, uint64_t offset);

/* ---- hostbytes.c: files of this host ------------------------------------- */

/* Opens the file of a mapping if it is the one that was saved, else -1. */
int msn_core_open_same(const struct msn_manifest_mapping *v);

/* ---- plan.c: which PT_LOADs there are ------------------------------------ */

struct msn_core_segment {
	struct msn_addr_range addr;
	uint64_t file_bytes; /* page multiple; 0: none */
	uint64_t offset;     /* in the core; set when it is written */
	size_t mapping;	     /* index in the manifest */
	bool host;	     /* unmodified pages come from the host file */
};

struct msn_core_plan {
	struct msn_core_segment *list; /* ascending */
	size_t count, cap;
	uint64_t file_bytes;	/* of all */
	uint64_t missing_count; /* files that are not the same any more */
};

/* 0 or -ENOMEM. */
MSN_MUST_CHECK int msn_core_plan_make(struct msn_core_plan *p,
				      const struct msn_manifest *m);
void msn_core_plan_deinit(struct msn_core_plan *p);

/* Stored pages behind a mapping. */
struct msn_core_layer {
	const struct msn_extents *x;
	uint64_t shift; /* from the number of an address's page; wrapping */
};

/* All of them: a page of a layer hides that of those after it. */
struct msn_core_layers {
	struct msn_core_layer list[2];
	size_t count;
};

struct msn_core_layers msn_core_layers(const struct msn_manifest *m,
				       const struct msn_manifest_mapping *v);

/* The first page in [@page, @end) that is stored in some layer, or @end. */
uint64_t msn_core_next_stored(const struct msn_core_layers *l, uint64_t page,
			      uint64_t end);

/* ---- threads.c: blobs of capture ----------------------------------------- */

struct msn_core_thread {
	int32_t tid;
	uint64_t blocked, pending;
	int32_t signal;	       /* arrived and not delivered; 0: none */
	const uint8_t *gregs;  /* 27 * 8 bytes */
	const uint8_t *fpregs; /* 512 bytes, or NULL */
	const uint8_t *xstate;
	size_t xstate_len; /* 0: none */
	const uint8_t *siginfo;
	size_t siginfo_len; /* 0: none */
};

struct msn_core_process {
	int32_t pid, ppid, pgrp, session;
	uint32_t uid, gid;
	int32_t nice;
	char state; /* letter of /proc */
	uint64_t flags;
	char fname[16], args[80];
};

struct msn_core_reader {
	const struct msn_manifest *m;
	struct msn_reader *reader;
	struct msn_failure *why;
};

typedef int (*msn_core_thread_fn)(void *ctx, const struct msn_core_thread *t,
				  size_t number);

/*
 * Calls @fn for each thread of the snapshot; its bytes are borrowed.  0 also
 * when there is none; DATA_LOSS for blobs that make no sense.
 */
MSN_MUST_CHECK int msn_core_each_thread(const struct msn_core_reader *r,
					msn_core_thread_fn fn, void *ctx);

/* All zero when the snapshot says nothing about it. */
MSN_MUST_CHECK int msn_core_read_process(const struct msn_core_reader *r,
					 struct msn_core_process *out);

/* ---- notes.c: what is not memory ----------------------------------------- */

/* Writes all notes at the present place; counts threads. */
MSN_MUST_CHECK int msn_core_write_notes(struct msn_core_out *o,
					const struct msn_core_reader *r,
					uint64_t *thread_count);

#endif /* MSN_COREFILE_COREFILE_INTERNAL_H */
