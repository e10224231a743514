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

	return g->file ? g->file : GEN_ONE_OF(g, files);
}

static int fd_of(const struct kernel *k, const struct step *s)
{
	return s->args[0] < FILE_COUNT ? k->files.fd[s->args[0]] : -1;
}

static uint64_t pick_offset(struct gen *g)
{
	uint64_t page = gen_pick(g, FILE_MAX_PAGES / 2) * 4096;

	return gen_percent(g, 70) ? page : page + gen_pick(g, 4096);
}

static unsigned used_file(const struct step *s)
{
	return (unsigned)s->args[0];
}

/* The slice's own pages of a file that is there. */
static bool bytes_keep_to(const struct step *s, unsigned slice)
{
	return s->args[0] != FILE_NONE && s->args[0] < FILE_PIPE &&
	       slice_has_bytes(slice, s->args[1], s->args[2]);
}

/* ---- write --------------------------------------------------------------- */

static void make_write(struct gen *g, struct step *s)
{
	s->args[0] = pick_file(g);
	s->args[1] = pick_offset(g);
	s->args[2] = gen_pick(g, 3 * 4096);
	s->args[3] = gen_pick(g, 256);
	gen_fit_file(g, &s->args[1], &s->args[2]);
}

static size_t write_len(const struct step *s)
{
	return s->args[2] % (4 * 4096);
}

static void kernel_write(struct kernel *k, const struct step *s,
			 struct outcome *o)
{
	ssize_t n;

	memset(o->data, (int)s->args[3], write_len(s));
	n = pwrite(fd_of(k, s), o->data, write_len(s), (off_t)s->args[1]);
	o->result = n < 0 ? -errno : n;
}

static void run_write(struct engine *e, const struct step *s, struct outcome *o)
{
	memset(o->data, (int)s->args[3], write_len(s));
	o->result = engine_files_write(&e->files, s->args[0], o->data,
				       write_len(s), s->args[1]);
}

const struct op op_write = {
	.name = "write",
	.args = { "file", "offset", "len", "byte" },
	.weight = 2,
	.make = make_write,
	.beside = bytes_keep_to,
	.file = used_file,
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
	o->result = ftruncate(fd_of(k, s), (off_t)s->args[1]) ? -errno : 0;
}

static void run_truncate(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	o->result = engine_files_truncate(&e->files, s->args[0], s->args[1]);
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
	gen_fit_file(g, &s->args[1], &s->args[2]);
}

static void kernel_allocate(struct kernel *k, const struct step *s,
			    struct outcome *o)
{
	o->result =
		fallocate(fd_of(k, s), 0, (off_t)s->args[1], (off_t)s->args[2])
			? -errno
			: 0;
}

static void run_allocate(struct engine *e, const struct step *s,
			 struct outcome *o)
{
	o->result = engine_files_allocate(&e->files, s->args[0], 0, s->args[1],
					  s->args[2]);
}

const struct op op_allocate = {
	.name = "allocate",
	.args = { "file", "offset", "len" },
	.weight = 1,
	.make = make_allocate,
	.beside = bytes_keep_to,
	.file = used_file,
	.kernel = kernel_allocate,
	.engine = run_allocate,
};

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static void make_punch(struct gen *g, struct step *s)
{
	s->args[0] = pick_file(g);
	s->args[1] = gen_pick(g, FILE_MAX_PAGES / 2) * 4096;
	s->args[2] = (1 + gen_pick(g, 4)) * 4096;
	gen_fit_file(g, &s->args[1], &s->args[2]);
}

/* Whole pages: mappables know no others. */
static uint64_t punch_start(const struct step *s)
{
	return s->args[1] & ~UINT64_C(4095);
}

static uint64_t punch_len(const struct step *s)
{
	return s->args[2] & ~UINT64_C(4095);
}

static void kernel_punch(struct kernel *k, const struct step *s,
			 struct outcome *o)
{
	o->result = fallocate(fd_of(k, s), PUNCH, (off_t)punch_start(s),
			      (off_t)punch_len(s))
			    ? -errno
			    : 0;
}

static void run_punch(struct engine *e, const struct step *s, struct outcome *o)
{
	o->result = engine_files_allocate(&e->files, s->args[0], PUNCH,
					  punch_start(s), punch_len(s));
}

const struct op op_punch = {
	.name = "punch",
	.args = { "file", "offset", "len" },
	.weight = 2,
	.make = make_punch,
	.beside = bytes_keep_to,
	.file = used_file,
	.kernel = kernel_punch,
	.engine = run_punch,
};
