/*
 * Ops: the mlock family, msync, mincore, mseal, madvise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/op_common.h"

#include <string.h>

#ifndef SYS_mseal
#define SYS_mseal 462
#endif

/* ---- mlock --------------------------------------------------------------- */

OP_KERNEL(mlock, SYS_mlock)
OP_ENGINE(mlock, msn_mm_mlock(mm, a[0], a[1], 0))

const struct op op_mlock = {
	.name = "mlock",
	.errors = { EPERM, ENOMEM, EINVAL },
	.args = { "addr", "len" },
	.weight = 3,
	.ranges = { { true, 0, 1 } },
	.make = make_range,
	.beside = keeps_to_ranges,
	.kernel = kernel_mlock,
	.engine = run_mlock,
};

static void make_mlock2(struct gen *g, struct step *s)
{
	make_range(g, s);
	s->args[2] = gen_percent(g, 90) ? gen_pick(g, 2) : gen_pick(g, 4);
}

OP_KERNEL(mlock2, SYS_mlock2)
OP_ENGINE(mlock2, msn_mm_mlock(mm, a[0], a[1], (int)a[2]))

const struct op op_mlock2 = {
	.name = "mlock2",
	.errors = { EPERM, ENOMEM, EINVAL },
	.args = { "addr", "len", "flags" },
	.weight = 3,
	.ranges = { { true, 0, 1 } },
	.make = make_mlock2,
	.beside = keeps_to_ranges,
	.kernel = kernel_mlock2,
	.engine = run_mlock2,
};

OP_KERNEL(munlock, SYS_munlock)
OP_ENGINE(munlock, msn_mm_munlock(mm, a[0], a[1]))

const struct op op_munlock = {
	.name = "munlock",
	.errors = { ENOMEM, EINVAL },
	.args = { "addr", "len" },
	.weight = 4,
	.ranges = { { true, 0, 1 } },
	.make = make_range,
	.beside = keeps_to_ranges,
	.kernel = kernel_munlock,
	.engine = run_munlock,
};

static void make_mlockall(struct gen *g, struct step *s)
{
	s->args[0] = gen_pick(g, 9);
}

OP_KERNEL(mlockall, SYS_mlockall)
OP_ENGINE(mlockall, msn_mm_mlockall(mm, (int)a[0]))

const struct op op_mlockall = {
	.name = "mlockall",
	.errors = { EPERM, ENOMEM, EINVAL },
	.args = { "flags" },
	.weight = 1,
	.make = make_mlockall,
	.kernel = kernel_mlockall,
	.engine = run_mlockall,
};

static void make_nothing(struct gen *g, struct step *s)
{
	(void)g;
	(void)s;
}

OP_KERNEL(munlockall, SYS_munlockall)
OP_ENGINE(munlockall, (msn_mm_munlockall(mm), (void)a, 0))

const struct op op_munlockall = {
	.name = "munlockall",
	.args = { NULL },
	.weight = 2,
	.make = make_nothing,
	.kernel = kernel_munlockall,
	.engine = run_munlockall,
};

/* ---- msync --------------------------------------------------------------- */

static void make_msync(struct gen *g, struct step *s)
{
	static const unsigned char flags[] = { MS_ASYNC,
					       MS_SYNC,
					       MS_INVALIDATE,
					       MS_SYNC | MS_INVALIDATE,
					       MS_ASYNC | MS_INVALIDATE,
					       MS_SYNC | MS_ASYNC,
					       0,
					       8 };

	make_range(g, s);
	s->args[2] = GEN_ONE_OF(g, flags);
}

OP_KERNEL(msync, SYS_msync)
OP_ENGINE(msync, msn_mm_msync(mm, a[0], a[1], (int)a[2]))

const struct op op_msync = {
	.name = "msync",
	.errors = { ENOMEM, EBUSY, EINVAL },
	.args = { "addr", "len", "flags" },
	.weight = 3,
	.ranges = { { true, 0, 1 } },
	.make = make_msync,
	.beside = keeps_to_ranges,
	.kernel = kernel_msync,
	.engine = run_msync,
};

/* ---- mincore ------------------------------------------------------------- */

static size_t vector_len(const struct step *s)
{
	uint64_t pages = s->args[1] / 4096 + (s->args[1] % 4096 != 0);

	return pages > STEPPER_DATA_BYTES ? 0 : (size_t)pages;
}

/* A vector longer than the slot has no room is not asked for. */
static bool is_too_long(const struct step *s, struct outcome *o)
{
	if (s->args[1] == 0 || vector_len(s))
		return false;
	o->result = -E2BIG;
	return true;
}

static bool mincore_keeps_to(const struct step *s, unsigned slice)
{
	return slice_has(slice, s->args[0], s->args[1]);
}

static void kernel_mincore(struct kernel *k, const struct step *s,
			   struct outcome *o)
{
	unsigned char *data = kernel_data(k, kernel_slot(s));

	if (is_too_long(s, o))
		return;
	memset(data, 0xff, vector_len(s));
	o->result = KERNEL_CALL(k, kernel_slot(s), SYS_mincore, s->args[0],
				s->args[1], stepper_data(kernel_slot(s)));
	o->len = o->result ? 0 : vector_len(s);
	memcpy(o->data, data, o->len);
}

static void run_mincore(struct engine *e, const struct step *s,
			struct outcome *o)
{
	if (is_too_long(s, o))
		return;
	memset(o->data, 0xff, vector_len(s));
	o->result = msn_mm_mincore(engine_mm(e, s), s->args[0], s->args[1],
				   o->data);
	o->len = o->result ? 0 : vector_len(s);
}

const struct op op_mincore = {
	.name = "mincore",
	.errors = { ENOMEM, EINVAL },
	.args = { "addr", "len" },
	.weight = 4,
	.make = make_range,
	.beside = mincore_keeps_to,
	.kernel = kernel_mincore,
	.engine = run_mincore,
};

/* ---- mseal --------------------------------------------------------------- */

static void make_mseal(struct gen *g, struct step *s)
{
	make_range(g, s);
	s->args[2] = gen_percent(g, 95) ? 0 : gen_pick(g, 3);
}

/* The common slice has to be unmapped afterwards. */
static bool mseal_keeps_to(const struct step *s, unsigned slice)
{
	return slice != SLICE_COMMON && keeps_to_ranges(s, slice);
}

OP_KERNEL(mseal, SYS_mseal)
OP_ENGINE(mseal, msn_mm_mseal(mm, a[0], a[1], a[2]))

const struct op op_mseal = {
	.name = "mseal",
	.errors = { ENOMEM, EINVAL },
	.args = { "addr", "len", "flags" },
	.weight = 1,
	.ranges = { { true, 0, 1 } },
	.make = make_mseal,
	.beside = mseal_keeps_to,
	.kernel = kernel_mseal,
	.engine = run_mseal,
};

/* ---- madvise ------------------------------------------------------------- */

/* Those that fill page tables: never for memory without measure. */
static bool madvise_is_left_out(const struct step *s)
{
	switch ((uint32_t)s->args[2]) {
	case 22:  /* MADV_POPULATE_READ */
	case 23:  /* MADV_POPULATE_WRITE */
	case 102: /* MADV_GUARD_INSTALL */
		return s->args[1] > STEP_PLACED_MAX;
	default:
		return false;
	}
}

static void make_madvise(struct gen *g, struct step *s)
{
	static const unsigned bad[] = { 5, 6, 7, 26, 99, 104, 1000, ~0U };
	static const unsigned often[] = { MADV_DONTNEED, MADV_FREE, MADV_REMOVE,
					  MADV_DONTFORK, MADV_WIPEONFORK };
	uint64_t at;

	make_range(g, s);
	at = gen_pick(g, 24);
	if (at == 0)
		s->args[2] = GEN_ONE_OF(g, bad);
	else if (at < 4)
		s->args[2] = 100 + gen_pick(g, 4); /* poison and guards */
	else if (at < 12)
		s->args[2] = GEN_ONE_OF(g, often);
	else
		s->args[2] = gen_pick(g, 26);
	/* What the kernel can reclaim at once is not the engine's to know. */
	if (s->args[2] == MADV_PAGEOUT)
		s->args[2] = MADV_COLD;
}

OP_KERNEL(madvise, SYS_madvise)
OP_ENGINE(madvise, msn_mm_madvise(mm, a[0], a[1], (int)a[2]))

const struct op op_madvise = {
	.name = "madvise",
	.errors = { EPERM, ENOMEM, EACCES, EFAULT, EINVAL },
	.args = { "addr", "len", "advice" },
	.weight = 14,
	.ranges = { { true, 0, 1 } },
	.make = make_madvise,
	.is_left_out = madvise_is_left_out,
	.beside = keeps_to_ranges,
	.kernel = kernel_madvise,
	.engine = run_madvise,
};
