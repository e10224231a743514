/*
 * Ops: brk, limits, fork and exit, memory policies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/op_common.h"

#include <string.h>

/* ---- brk ----------------------------------------------------------------- */

static void make_brk(struct gen *g, struct step *s)
{
	switch (gen_pick(g, 10)) {
	case 0:
		s->args[0] = 0;
		break;
	case 1:
		s->args[0] = gen_addr(g);
		break;
	case 2:
		s->args[0] = GEN_HEAP + gen_pick(g, 64 * 4096);
		break;
	default:
		s->args[0] = GEN_HEAP + gen_pick(g, 24) * 4096;
	}
}

OP_KERNEL(brk, SYS_brk)
OP_ENGINE(brk, (int64_t)msn_mm_brk(mm, a[0]))

const struct op op_brk = {
	.name = "brk",
	.args = { "addr" },
	.weight = 3,
	.make = make_brk,
	.kernel = kernel_brk,
	.engine = run_brk,
};

/* ---- setrlimit ----------------------------------------------------------- */

static void make_limit(struct gen *g, struct step *s)
{
	s->args[0] = gen_pick(g, LIMIT_COUNT);
	s->args[1] = kernel_limits[s->args[0]].most;
	if (s->args[0] == LIMIT_AS && gen_percent(g, 60))
		s->args[1] = gen_mapped(g) + gen_pick(g, 12) * 4096;
	else if (gen_percent(g, 50))
		s->args[1] = gen_pick(g, 120) * 4096 + gen_pick(g, 2) * 100;
	else if (gen_percent(g, 25))
		s->args[1] = 0;
}

static void kernel_do_limit(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	o->result = kernel_set_limit(k, s->space, s->args[0] % LIMIT_COUNT,
				     s->args[1]);
}

static void run_limit(struct engine *e, const struct step *s, struct outcome *o)
{
	struct msn_mm_limits l;

	(void)o;
	msn_mm_get_limits(engine_mm(e, s), &l);
	switch (s->args[0] % LIMIT_COUNT) {
	case LIMIT_AS:
		l.as = s->args[1];
		break;
	case LIMIT_DATA:
		l.data = s->args[1];
		break;
	case LIMIT_MEMLOCK:
		l.memlock = s->args[1];
		break;
	default:
		l.stack = s->args[1];
	}
	msn_mm_set_limits(engine_mm(e, s), &l);
}

const struct op op_limit = {
	.name = "limit",
	.args = { "which", "value" },
	.weight = 2,
	.make = make_limit,
	.kernel = kernel_do_limit,
	.engine = run_limit,
};

/* ---- fork and exit ------------------------------------------------------- */

static void make_fork(struct gen *g, struct step *s)
{
	s->args[0] = gen_pick(g, STEPPER_SLOTS);
}

static bool is_a_child(const struct step *s, unsigned spaces)
{
	return s->args[0] < STEPPER_SLOTS && !(spaces & 1U << s->args[0]);
}

static void kernel_do_fork(struct kernel *k, const struct step *s,
			   struct outcome *o)
{
	o->result = is_a_child(s, k->side.spaces)
			    ? kernel_fork(k, s->space, (unsigned)s->args[0])
			    : -EEXIST;
}

static void run_fork(struct engine *e, const struct step *s, struct outcome *o)
{
	struct msn_address_space *as;

	if (!is_a_child(s, e->side.spaces)) {
		o->result = -EEXIST;
		return;
	}
	o->result = msn_platform_none_new(&as);
	if (o->result == 0)
		o->result =
			msn_mm_fork(engine_mm(e, s), as, &e->mm[s->args[0]]);
	if (o->result == 0)
		e->side.spaces |= 1U << s->args[0];
}

const struct op op_fork = {
	.name = "fork",
	.args = { "child" },
	.weight = 2,
	.make = make_fork,
	.kernel = kernel_do_fork,
	.engine = run_fork,
};

/* The last one stays. */
static bool is_last(unsigned spaces)
{
	return (spaces & (spaces - 1)) == 0;
}

static void kernel_do_exit(struct kernel *k, const struct step *s,
			   struct outcome *o)
{
	if (is_last(k->side.spaces))
		o->result = -EBUSY;
	else
		kernel_exit(k, s->space);
}

static void run_exit(struct engine *e, const struct step *s, struct outcome *o)
{
	if (is_last(e->side.spaces)) {
		o->result = -EBUSY;
		return;
	}
	e->mm[s->space] = msn_mm_free(e->mm[s->space]);
	e->side.spaces &= ~(1U << s->space);
}

static void make_exit(struct gen *g, struct step *s)
{
	(void)g;
	(void)s;
}

const struct op op_exit = {
	.name = "exit",
	.args = { NULL },
	.weight = 2,
	.make = make_exit,
	.kernel = kernel_do_exit,
	.engine = run_exit,
};

/* ---- Memory policies ----------------------------------------------------- */

static void make_mbind(struct gen *g, struct step *s)
{
	static const uint64_t masks[] = { 0, 1, 1, 2, 3 };
	static const uint64_t modes[] = { 0,
					  1,
					  2,
					  3,
					  4,
					  5,
					  6,
					  7,
					  99,
					  1 << 15,
					  2 | 1 << 15,
					  2 | 1 << 14,
					  3 | 1 << 15 | 1 << 14 };

	make_range(g, s);
	s->args[2] = GEN_ONE_OF(g, modes);
	s->args[3] = GEN_ONE_OF(g, masks);
	s->args[4] = gen_percent(g, 80) ? 64 : gen_pick(g, 3);
	s->args[5] = gen_percent(g, 60) ? 0 : gen_pick(g, 16);
}

/* Whether a page may be moved depends on who else has it. */
static bool mbind_keeps_to(const struct step *s, unsigned slice)
{
	return s->args[5] == 0 && keeps_to_ranges(s, slice);
}

static void kernel_mbind(struct kernel *k, const struct step *s,
			 struct outcome *o)
{
	memset(kernel_data(k, kernel_slot(s)), 0, STEPPER_DATA_BYTES);
	memcpy(kernel_data(k, kernel_slot(s)), &s->args[3], 8);
	o->result = KERNEL_CALL(k, kernel_slot(s), SYS_mbind, s->args[0],
				s->args[1], s->args[2],
				stepper_data(kernel_slot(s)), s->args[4],
				s->args[5]);
}

static void run_mbind(struct engine *e, const struct step *s, struct outcome *o)
{
	/* As much behind the first word as a mask may have. */
	uint64_t nodes[STEPPER_DATA_BYTES / 8] = { s->args[3] };

	o->result = msn_mm_mbind(engine_mm(e, s), s->args[0], s->args[1],
				 (int)s->args[2], nodes, s->args[4],
				 (unsigned)s->args[5]);
}

const struct op op_mbind = {
	.name = "mbind",
	.errors = { EPERM, EFAULT, EINVAL },
	.args = { "addr", "len", "mode", "mask", "maxnode", "flags" },
	.weight = 2,
	.ranges = { { true, 0, 1 } },
	.make = make_mbind,
	.beside = mbind_keeps_to,
	.kernel = kernel_mbind,
	.engine = run_mbind,
};

static void make_get_mempolicy(struct gen *g, struct step *s)
{
	s->args[0] = gen_addr(g);
	s->args[1] = gen_percent(g, 80) ? 1024 : gen_pick(g, 80);
	/*
	 * Not MPOL_F_ADDR (2): of shared memory the kernel has one policy for
	 * all who map it (docs/differences.md).
	 */
	s->args[2] = gen_pick(g, 16) & ~UINT64_C(2);
}

static bool get_mempolicy_keeps_to(const struct step *s, unsigned slice)
{
	return slice_has(slice, s->args[0], 1);
}

static void kernel_get_mempolicy(struct kernel *k, const struct step *s,
				 struct outcome *o)
{
	unsigned char *data = kernel_data(k, kernel_slot(s));
	uint64_t at = stepper_data(kernel_slot(s));

	if (s->args[1] > 8 * STEPPER_DATA_BYTES - 64 * 8) {
		o->result = -E2BIG;
		return;
	}
	memset(data, 0xff, 16);
	o->result = KERNEL_CALL(k, kernel_slot(s), SYS_get_mempolicy, at,
				at + 8, s->args[1], s->args[0], s->args[2]);
	o->len = o->result ? 0 : 16;
	memcpy(o->data, data, o->len);
}

static void run_get_mempolicy(struct engine *e, const struct step *s,
			      struct outcome *o)
{
	uint64_t nodes[STEPPER_DATA_BYTES / 8] = { UINT64_MAX };
	int mode = -1;

	if (s->args[1] > 8 * STEPPER_DATA_BYTES - 64 * 8) {
		o->result = -E2BIG;
		return;
	}
	o->result = msn_mm_get_mempolicy(engine_mm(e, s), &mode, nodes,
					 s->args[1], s->args[0], s->args[2]);
	o->len = o->result ? 0 : 16;
	memset(o->data, 0xff, 16);
	memcpy(o->data, &mode, sizeof(mode));
	memcpy(o->data + 8, nodes, 8);
}

const struct op op_get_mempolicy = {
	.name = "get_mempolicy",
	.errors = { EFAULT, EINVAL },
	.args = { "addr", "maxnode", "flags" },
	.weight = 1,
	.make = make_get_mempolicy,
	.beside = get_mempolicy_keeps_to,
	.kernel = kernel_get_mempolicy,
	.engine = run_get_mempolicy,
};
