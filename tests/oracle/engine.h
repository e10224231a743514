/*
 * Engine: the side where steps are calls of the engine.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_ENGINE_H
#define MSN_TESTS_ORACLE_ENGINE_H

#include "memfile/memfile.h"
#include "mm/mm_calls.h"
#include "oracle/engine_files.h"
#include "oracle/kernel.h"
#include "oracle/side.h"

struct engine {
	struct side side;
	struct engine_files files;
	struct msn_memfile *memfile;
	struct msn_mm *mm[STEPPER_SLOTS];
	struct kernel_layout layout;
};

/*
 * An engine whose layout and foreign memory are those of @layout.  @restores:
 * its spaces may be saved and restored.
 */
struct engine *engine_new(const struct kernel_layout *layout, bool restores);

static inline struct msn_mm *engine_mm(struct engine *e, const struct step *s)
{
	return e->mm[s->space];
}

/* The limits of a space before the first step sets one. */
struct msn_mm_limits engine_limits(const struct engine *e);

/* What its spaces are made with, but for the platform. */
struct msn_mm_opts engine_space_opts(const struct engine *e,
				     const struct msn_mm_limits *limits);

/* mmap(2) with the numbers of Linux.  The address, or -errno. */
int64_t engine_mmap(struct engine *e, unsigned space, const uint64_t args[6]);

#endif /* MSN_TESTS_ORACLE_ENGINE_H */
