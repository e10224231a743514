/*
 * Kernel group: steps that run at once in threads of steppers.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each thread of a group is one thread of its space's stepper, started for the
 * group and ended after it, and one of this process that tells it what to do.
 * What numbers cannot tell is looked up first: whether the threads still have
 * their slices and their pages of objects for themselves.
 */
#include "oracle/op_common.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- What is mapped ------------------------------------------------------ */

/* A mapping that may be of interest: near slices, or the first above them. */
struct mapped {
	uint64_t start, end, offset;
	dev_t device;
	ino_t inode; /* 0: nothing is behind it */
	bool shared, stack;
};

#define MAPPED_MAX 512

struct mapped_list {
	struct mapped list[MAPPED_MAX];
	size_t count;
};

static bool parse_mapped(const char *line, struct mapped *m)
{
	unsigned long long start, end, offset, inode;
	unsigned major, minor;
	char perms[8];

	if (sscanf(line, "%llx-%llx %7s %llx %x:%x %llu", &start, &end, perms,
		   &offset, &major, &minor, &inode) != 7)
		return false;
	*m = (struct mapped){ .start = start,
			      .end = end,
			      .offset = offset,
			      .device = makedev(major, minor),
			      .inode = inode,
			      .shared = perms[3] == 's' };
	return true;
}

/* False if there are too many. */
static bool list_mapped(struct kernel *k, unsigned space,
			struct mapped_list *out)
{
	const uint64_t from = SLICE_START(0) - 4096;
	const char *text = kernel_read_smaps(k, space);
	struct mapped m = { 0 };
	bool keep = false;

	out->count = 0;
	for (const char *next; *text; text = next) {
		next = strchr(text, '\n') + 1;
		if (parse_mapped(text, &m)) {
			keep = m.end >= from && m.start < STEPPER_TEXT;
			if (keep && out->count == MAPPED_MAX)
				return false;
			if (keep)
				out->list[out->count++] = m;
		} else if (keep && strncmp(text, "VmFlags:", 8) == 0) {
			const char *gd = strstr(text, " gd");

			out->list[out->count - 1].stack = gd && gd < next;
		}
	}
	return true;
}

/* ---- May they run? ------------------------------------------------------- */

/* A file with bytes by its inode; FILE_NONE: another object. */
static unsigned file_of(const struct kernel *k, const struct mapped *m)
{
	for (unsigned i = 1; i < FILE_COUNT; i++) {
		struct stat st;

		if (fstat(k->files.fd[i], &st) == 0 && st.st_ino == m->inode &&
		    st.st_dev == m->device)
			return i;
	}
	return FILE_NONE;
}

static const char *check_mapping(struct kernel *k, struct group_thread *t,
				 const struct mapped *m)
{
	unsigned file;

	if (m->stack && t->slice != SLICE_STACKS)
		return "a stack in a slice that may have none";
	if (m->inode == 0)
		return NULL;
	file = file_of(k, m);
	if (file == FILE_NONE || file == FILE_ZERO)
		return NULL;
	if (m->stack)
		return "a file's mapping that grows";
	if (!slice_has_bytes(t->slice, m->offset, m->end - m->start))
		return "pages of a file that are not the slice's";
	t->uses_files = true;
	return NULL;
}

/* Is the slice of @t in order?  Notes whether it uses files. */
static const char *check_slice(struct kernel *k, struct group_thread *t,
			       const struct mapped_list *l)
{
	const uint64_t start = SLICE_START(t->slice), end = SLICE_END(t->slice);
	const char *why = NULL;

	for (size_t i = 0; i < l->count && !why; i++) {
		const struct mapped *m = &l->list[i];

		if (m->start >= start && m->end <= end &&
		    t->slice == SLICE_COMMON)
			why = "a common slice that is not empty";
		else if (m->start >= start && m->end <= end)
			why = check_mapping(k, t, m);
		else if (m->start <= end && m->end >= start)
			why = "a mapping over or against the edge of a slice";
	}
	return why;
}

/* A touch below a stack tries to make it grow, however far away it is. */
static const char *check_stacks(const struct mapped_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct mapped *m = &l->list[i];

		if (m->stack && (m->start < SLICE_START(SLICE_STACKS) ||
				 m->end > SLICE_END(SLICE_STACKS)))
			return "a stack among or above the slices";
	}
	return NULL;
}

/* Memory that is shared by descent, or since one mapping was cut or moved. */
static const char *check_objects(struct kernel *k, const struct group *g,
				 const struct mapped_list lists[], unsigned a,
				 unsigned b)
{
	const unsigned of[2] = { g->threads[a].slice, g->threads[b].slice };
	const struct mapped_list *x = &lists[a], *y = &lists[b];

	for (size_t i = 0; i < x->count; i++) {
		const struct mapped *m = &x->list[i];

		if (!m->shared || !slice_has(of[0], m->start, 1) ||
		    file_of(k, m) != FILE_NONE)
			continue;
		for (size_t j = 0; j < y->count; j++) {
			const struct mapped *n = &y->list[j];

			if (n->shared && slice_has(of[1], n->start, 1) &&
			    n->inode == m->inode && n->device == m->device)
				return "two threads with one object";
		}
	}
	return NULL;
}

static const char *check_pairs(struct kernel *k, const struct group *g,
			       const struct mapped_list lists[])
{
	for (unsigned a = 0; a < STEPPER_THREADS; a++)
		for (unsigned b = 0; b < a; b++) {
			const struct group_thread *x = &g->threads[a];
			const struct group_thread *y = &g->threads[b];
			const char *why;

			if (!x->used || !y->used || g->common)
				continue;
			if (x->slice == y->slice && x->uses_files &&
			    y->uses_files)
				return "two spaces with one slice's files";
			why = check_objects(k, g, lists, a, b);
			if (why)
				return why;
		}
	return NULL;
}

/* A field of /proc/PID/status in bytes. */
static uint64_t status_bytes(const char *text, const char *field)
{
	const char *at = strstr(text, field);

	if (!at)
		die("no %s in a status", field);
	return strtoull(at + strlen(field), NULL, 10) << 10;
}

/*
 * Near a limit it would matter who comes first.  Whatever a group does, a
 * space has no more than two slices for each of its threads on top of what it
 * has: one in place, and one that replaces it.  What counts as locked may
 * also stay behind, a slice a call.
 */
static const char *check_limits(struct kernel *k, const struct group *g,
				unsigned space)
{
	const uint64_t *limit = k->at[space].limit;
	uint64_t more = 2 * STEPPER_THREADS * SLICE_BYTES;
	char path[64], text[4096];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)k->at[space].pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		die("cannot read %s: %m", path);
	close(fd);
	text[n] = '\0';
	if (status_bytes(text, "VmSize:") + more > limit[LIMIT_AS] ||
	    status_bytes(text, "VmData:") + more > limit[LIMIT_DATA])
		return "a limit that is near";
	more += g->count * SLICE_BYTES;
	if (status_bytes(text, "VmLck:") + more > limit[LIMIT_MEMLOCK])
		return "a limit of locked memory that is near";
	return NULL;
}

/* What of a step depends on what is there. */
static const char *check_step(struct kernel *k, const struct group *g,
			      const struct step *s)
{
	const struct group_thread *t = &g->threads[s->thread - 1];
	struct stat st;

	if (s->op == &op_mremap && t->uses_files && s->args[2] > s->args[1])
		return "mremap that may grow into pages of other slices";
	if (s->op != &op_write && s->op != &op_allocate)
		return NULL;
	if (fstat(k->files.fd[s->args[0]], &st))
		die("cannot look at file %u", (unsigned)s->args[0]);
	if (s->args[1] + s->args[2] > (uint64_t)st.st_size)
		return "a file that grows";
	return NULL;
}

const char *kernel_group_forbidden(struct kernel *k, struct group *g)
{
	static struct mapped_list lists[STEPPER_THREADS];
	const char *why = NULL;

	for (unsigned i = 0; i < STEPPER_THREADS && !why; i++) {
		struct group_thread *t = &g->threads[i];

		if (!t->used)
			continue;
		if (!(k->side.spaces & 1U << t->space))
			why = "a space that is not there";
		else if (!list_mapped(k, t->space, &lists[i]))
			why = "too many mappings";
		if (!why)
			why = check_slice(k, t, &lists[i]);
		if (!why)
			why = check_stacks(&lists[i]);
		if (!why)
			why = check_limits(k, g, t->space);
	}
	if (!why)
		why = check_pairs(k, g, lists);
	for (size_t i = 0; i < g->count && !why; i++)
		why = check_step(k, g, &g->list[i]);
	return why;
}

/* ---- Running ------------------------------------------------------------- */

static void start_thread(struct kernel *k, unsigned space, unsigned slot)
{
	struct stepper_command *c = &k->slots[space].command;

	memset(&k->slots[slot].command, 0, sizeof(*c));
	k->serves[slot] = space;
	c->kind = STEPPER_THREAD;
	c->args[0] = slot;
	kernel_command(k, space);
	if (c->result < 0)
		die("no thread of space %u: %s", space,
		    strerror((int)-c->result));
	if (sched_setaffinity((pid_t)c->result, sizeof(cpu_set_t),
			      kernel_cpus()))
		die("a thread of space %u stays on a CPU: %m", space);
}

/* Returns when the thread is no more. */
static void end_thread(struct kernel *k, unsigned slot)
{
	struct stepper_command *c = &k->slots[slot].command;

	c->kind = STEPPER_LEAVE;
	kernel_last_command(k, slot);
	kernel_wait(k, slot, &c->tid, 0);
}

static void run_beside(void *ctx, const struct step *s, struct outcome *o)
{
	s->op->kernel(ctx, s, o);
}

void kernel_run_group(struct side *side, const struct group *g,
		      struct outcome **out)
{
	struct kernel *k = msn_container_of(side, struct kernel, side);

	if (g->common)
		return;
	for (unsigned i = 0; i < STEPPER_THREADS; i++)
		if (g->threads[i].used)
			start_thread(k, g->threads[i].space, STEPPER_SLOTS + i);
	group_run(g, out, run_beside, k);
	for (unsigned i = 0; i < STEPPER_THREADS; i++)
		if (g->threads[i].used)
			end_thread(k, STEPPER_SLOTS + i);
}
