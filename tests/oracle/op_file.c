/*
 * Ops: what happens to the files by descriptor.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Both sides do the same to their own copy; the engine's is told where it has
 * to be, so that its mappings follow.
 */
#include "oracle/op_common.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Only through a descriptor that is open for writing. */
static uint64_t pick_file(struct gen *g)
{
	static const unsigned char files[] = {
		FILE_MEM, FILE_MEM, FILE_MEM,	 FILE_TMP,
		FILE_TMP, FILE_TMP, FILE_SEALED, FILE_SEALED_FUTURE
	};

	return GEN_ONE_OF(g, files);
}

static int fd_of(const struct files *f, const struct step *s)
{
	return s->args[0] < FILE_COUNT ? f->fd[s->args[0]] : -1;
}

static uint64_t pick_offset(struct gen *g)
{
	uint64_t page = gen_pick(g, FILE_MAX_PAGES / 2) * 4096;

	return gen_percent(g, 70) ? page : page + gen_pick(g, 4096);
}

/* ---- write --------------------------------------------------------------- */

static void make_write(struct gen *g, struct step *s)
{
	s->args[0] = pick_file(g);
	s->args[1] = pick_offset(g);
	s->args[2] = gen_pick(g, 3 * 4096);
	s->args[3] = gen_pick(g, 256);
}

static int64_t write_file(int fd, const struct step *s, struct outcome *o)
{
	size_t len = s->args[2] % (4 * 4096);
	ssize_t n;

	memset(o->data, (int)s->args[3], len);
	n = pwrite(fd, o->data, len, (off_t)s->args[1]);
	return n < 0 ? -errno : n;
}

static void kernel_write(struct kernel *k, const struct step *s,
			 struct outcome *o)
{
	o->result = write_file(fd_of(&k->files, s), s, o);
}

static void run_write(struct engine *e, const struct step *s, struct outcome *o)
{
	o->result = write_file(fd_of(&e->files, s), s, o);
}

const struct op op_write = {
	.name = "write",
	.args = { "file", "offset", "len", "byte" },
	.weight = 2,
	.make = make_write,
	.kernel = kernel_write,
	.engine = run_write,
};

/* ---- truncate ------------------------------------------------------------ */

static void make_truncate(struct gen *g, struct step *s)
{
	s->args[0] = pick_file(g);
	s->args[1] = pick_offset(g);
}

static void kernel_truncate(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	o->result =
		ftruncate(fd_of(&k->files, s), (off_t)s->args[1]) ? -errno : 0;
}

static void run_truncate(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	struct msn_hostfile *hf =
		s->args[0] < FILE_COUNT ? e->host[s->args[0]] : NULL;

	o->result = hf ? msn_hostfile_truncate(hf, s->args[1]) : -EBADF;
}

const struct op op_truncate = {
	.name = "truncate",
	.args = { "file", "size" },
	.weight = 2,
	.make = make_truncate,
	.kernel = kernel_truncate,
	.engine = run_truncate,
};

/* ---- fallocate ----------------------------------------------------------- */

static void make_allocate(struct gen *g, struct step *s)
{
	make_truncate(g, s);
	s->args[2] = 1 + gen_pick(g, 6 * 4096);
}

static void kernel_allocate(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	o->result = fallocate(fd_of(&k->files, s), 0, (off_t)s->args[1],
			      (off_t)s->args[2])
			    ? -errno
			    : 0;
}

static void run_allocate(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	o->result = fallocate(fd_of(&e->files, s), 0, (off_t)s->args[1],
			      (off_t)s->args[2])
			    ? -errno
			    : 0;
}

const struct op op_allocate = {
	.name = "allocate",
	.args = { "file", "offset", "len" },
	.weight = 1,
	.make = make_allocate,
	.kernel = kernel_allocate,
	.engine = run_allocate,
};

static void kernel_punch(struct kernel *k, const struct step *s,
			 struct outcome *o)
{
	uint64_t end = (s->args[1] + s->args[2] + 4095) & ~UINT64_C(4095);
	uint64_t start = s->args[1] & ~UINT64_C(4095);

	if (s->args[2] == 0)
		end = start;
	o->result = fallocate(fd_of(&k->files, s),
			      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      (off_t)start, (off_t)(end - start))
			    ? -errno
			    : 0;
}

static void make_punch(struct gen *g, struct step *s)
{
	s->args[0] = pick_file(g);
	s->args[1] = gen_pick(g, FILE_MAX_PAGES / 2) * 4096;
	s->args[2] = (1 + gen_pick(g, 4)) * 4096;
}

static void run_punch(struct engine *e, const struct step *s, struct outcome *o)
{
	struct msn_hostfile *hf =
		s->args[0] < FILE_COUNT ? e->host[s->args[0]] : NULL;
	uint64_t end = (s->args[1] + s->args[2] + 4095) & ~UINT64_C(4095);
	struct msn_obj_range r = { s->args[1] & ~UINT64_C(4095), end };

	if (hf && s->args[2] == 0)
		o->result = -EINVAL;
	else
		o->result = hf ? msn_mappable_punch_hole(
					 msn_hostfile_mappable(hf), r)
			       : -EBADF;
}

const struct op op_punch = {
	.name = "punch",
	.args = { "file", "offset", "len" },
	.weight = 2,
	.make = make_punch,
	.kernel = kernel_punch,
	.engine = run_punch,
};
