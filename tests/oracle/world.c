/*
 * World: takes steps and compares.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/world.h"

#include "base/alloc.h"
#include "oracle/engine.h"
#include "oracle/kernel.h"
#include "oracle/text.h"

#include <stdlib.h>
#include <string.h>

/* Every space is looked at once in so many steps. */
#define LOOK_AT_ALL 8

const char *const facet_names[FACET_COUNT] = {
	[FACET_RESULT] = "result", [FACET_DATA] = "data",
	[FACET_LAYOUT] = "layout", [FACET_FIELDS] = "fields",
	[FACET_PAGES] = "pages",   [FACET_EXCLUSIVE] = "exclusive",
	[FACET_BYTES] = "bytes",   [FACET_FILE] = "file",
	[FACET_BLOCKS] = "blocks",
};

static bool is_ignored(const struct world *w, enum facet facet)
{
	return w->opts.ignored & 1U << facet;
}

struct world *world_new(const struct world_opts *opts)
{
	struct world *w = msn_alloc(sizeof(*w));
	struct kernel *k;

	if (!w)
		die("no memory");
	w->opts = *opts;
	k = kernel_new();
	w->kernel = k;
	w->side[0] = &k->side;
	w->side[1] = opts->self ? &kernel_new()->side
				: &engine_new(&k->layout, opts->restores)->side;
	w->detail = w->side[0]->detail & w->side[1]->detail;
	if (is_ignored(w, FACET_FIELDS))
		w->detail &= ~(unsigned)SIDE_SMAPS;
	if (is_ignored(w, FACET_PAGES))
		w->detail &= ~(unsigned)SIDE_PAGEMAP;
	if (is_ignored(w, FACET_BYTES))
		w->detail &= ~(unsigned)SIDE_BYTES;
	return w;
}

void world_free(struct world *w)
{
	for (int i = 0; i < 2; i++) {
		w->side[i]->ops->free(w->side[i]);
		for (size_t j = 0; j < w->outs; j++)
			free(w->out[i][j]);
		free(w->out[i]);
		view_free(&w->view[i]);
	}
	free(w);
}

/* ---- Comparing ----------------------------------------------------------- */

static bool is_same(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

/* Begins to tell a difference; the caller closes the stream. */
static FILE *tell(struct difference *d, enum facet facet)
{
	size_t len;
	FILE *to;

	d->facet = facet;
	d->step = NULL;
	d->detail[0] = '\0';
	d->text = NULL;
	to = open_memstream(&d->text, &len);
	if (!to)
		die("no memory");
	return to;
}

/* The outcome without its numbers. */
static const char *outcome_name(const struct outcome *o)
{
	const char *name;

	if (o->signal)
		return sigabbrev_np(o->signal);
	if (o->result >= 0)
		return "ok";
	name = strerrorname_np((int)-o->result);
	return name ? name : "?";
}

static void print_outcome(FILE *to, const char *name, const struct outcome *o)
{
	fprintf(to, "  %s ", name);
	if (o->result < 0)
		fprintf(to, "%s", outcome_name(o));
	else
		fprintf(to, "%#llx", (unsigned long long)o->result);
	if (o->signal)
		fprintf(to, " SIG%s code %d at %#llx", sigabbrev_np(o->signal),
			o->code, (unsigned long long)o->fault);
	fprintf(to, "\n");
}

/* Of step @at of those that were taken. */
static bool compare_outcomes(struct world *w, size_t at, struct difference *d)
{
	struct outcome *a = w->out[0][at], *b = w->out[1][at];
	FILE *to;
	size_t i = 0;

	if (!is_ignored(w, FACET_RESULT) &&
	    (a->result != b->result || a->signal != b->signal ||
	     a->code != b->code || a->fault != b->fault)) {
		to = tell(d, FACET_RESULT);
		snprintf(d->detail, sizeof(d->detail), "%s, engine %s",
			 outcome_name(a), outcome_name(b));
		print_outcome(to, "kernel", a);
		print_outcome(to, "engine", b);
		fclose(to);
		return true;
	}
	if (is_ignored(w, FACET_DATA) ||
	    is_same(a->data, a->len, b->data, b->len))
		return false;
	while (i < a->len && i < b->len && a->data[i] == b->data[i])
		i++;
	to = tell(d, FACET_DATA);
	fprintf(to, "  kernel %zu bytes, engine %zu\n", a->len, b->len);
	if (i < a->len && i < b->len)
		fprintf(to, "  byte %zu: kernel %#x, engine %#x\n", i,
			a->data[i], b->data[i]);
	fclose(to);
	return true;
}

static bool compare_text(struct world *w, unsigned space, struct difference *d)
{
	struct view *a = &w->view[0], *b = &w->view[1];
	enum facet facet = FACET_LAYOUT;
	FILE *to;

	if (is_same(a->text, a->text_len, b->text, b->text_len))
		return false;
	if (w->detail & SIDE_SMAPS) {
		struct view x = { 0 }, y = { 0 };

		text_copy_headers(&x, a);
		text_copy_headers(&y, b);
		if (is_same(x.text, x.text_len, y.text, y.text_len))
			facet = FACET_FIELDS;
		view_free(&x);
		view_free(&y);
	}
	if (is_ignored(w, facet))
		return false;
	to = tell(d, facet);
	fprintf(to, "  space %u\n", space);
	text_print_difference(to, a, b);
	fclose(to);
	return true;
}

static void print_page(FILE *to, const char *name, const struct view *v,
		       size_t i)
{
	const struct page *p = &v->pages[i];

	if (i < v->count)
		fprintf(to, "  %s %#llx%s%s%s%s\n", name,
			(unsigned long long)p->addr,
			p->bits & PAGE_PRESENT ? " present" : "",
			p->bits & PAGE_FILE ? " file" : "",
			p->bits & PAGE_EXCLUSIVE ? " exclusive" : "",
			p->bits & PAGE_GUARD ? " guard" : "");
	else
		fprintf(to, "  %s has no more pages\n", name);
}

static bool compare_pages(struct world *w, unsigned space, struct difference *d)
{
	struct view *a = &w->view[0], *b = &w->view[1];
	uint64_t mask = PAGE_BITS;
	size_t i = 0;
	FILE *to;

	if (is_ignored(w, FACET_EXCLUSIVE))
		mask &= ~PAGE_EXCLUSIVE;
	while (i < a->count && i < b->count &&
	       a->pages[i].addr == b->pages[i].addr &&
	       ((a->pages[i].bits ^ b->pages[i].bits) & mask) == 0)
		i++;
	if (i == a->count && i == b->count)
		return false;
	to = tell(d, i < a->count && i < b->count &&
				     a->pages[i].addr == b->pages[i].addr &&
				     (a->pages[i].bits ^ b->pages[i].bits) ==
					     PAGE_EXCLUSIVE
			     ? FACET_EXCLUSIVE
			     : FACET_PAGES);
	fprintf(to, "  space %u: %zu pages, engine %zu\n", space, a->count,
		b->count);
	print_page(to, "kernel", a, i);
	print_page(to, "engine", b, i);
	fclose(to);
	return true;
}

/* Before: the pages are the same. */
static bool compare_bytes(struct world *w, unsigned space, struct difference *d)
{
	struct view *a = &w->view[0], *b = &w->view[1];
	size_t i = 0, n = 0;
	FILE *to;

	while (i < a->count &&
	       (!(a->pages[i].bits & PAGE_PRESENT) ||
		memcmp(a->bytes + i * 4096, b->bytes + i * 4096, 4096) == 0))
		i++;
	if (i == a->count)
		return false;
	while (a->bytes[i * 4096 + n] == b->bytes[i * 4096 + n])
		n++;
	to = tell(d, FACET_BYTES);
	fprintf(to, "  space %u, %#llx: kernel %#x, engine %#x\n", space,
		(unsigned long long)(a->pages[i].addr + n),
		a->bytes[i * 4096 + n], b->bytes[i * 4096 + n]);
	fclose(to);
	return true;
}

static bool compare_space(struct world *w, unsigned space, struct difference *d)
{
	for (int i = 0; i < 2; i++)
		w->side[i]->ops->look(w->side[i], space, w->detail, &w->view[0],
				      &w->view[i]);
	if (w->seen)
		w->seen(w->ctx, space, &w->view[0]);
	if (compare_text(w, space, d))
		return true;
	if (w->detail & SIDE_PAGEMAP && compare_pages(w, space, d))
		return true;
	return w->detail & SIDE_BYTES && compare_bytes(w, space, d);
}

static bool compare_file(struct world *w, unsigned file, struct difference *d)
{
	static struct file_state states[2];
	struct file_state *a = &states[0], *b = &states[1];
	size_t i = 0;
	FILE *to;

	w->side[0]->ops->read_file(w->side[0], file, a);
	w->side[1]->ops->read_file(w->side[1], file, b);
	if (!is_ignored(w, FACET_FILE) &&
	    (a->size != b->size ||
	     !is_same(a->data, a->len, b->data, b->len))) {
		to = tell(d, FACET_FILE);
		fprintf(to, "  file %u: %llu bytes, engine %llu\n", file,
			(unsigned long long)a->size,
			(unsigned long long)b->size);
		while (i < a->len && i < b->len && a->data[i] == b->data[i])
			i++;
		if (i < a->len && i < b->len)
			fprintf(to, "  byte %#zx: kernel %#x, engine %#x\n", i,
				a->data[i], b->data[i]);
		fclose(to);
		return true;
	}
	if (is_ignored(w, FACET_BLOCKS) || a->blocks == b->blocks)
		return false;
	to = tell(d, FACET_BLOCKS);
	fprintf(to, "  file %u: kernel %llu blocks, engine %llu\n", file,
		(unsigned long long)a->blocks, (unsigned long long)b->blocks);
	fclose(to);
	return true;
}

/* ---- Stepping ------------------------------------------------------------ */

static void reserve_outcomes(struct world *w, size_t count)
{
	for (int i = 0; i < 2 && count > w->outs; i++) {
		w->out[i] = msn_realloc_array(w->out[i], count,
					      sizeof(struct outcome *));
		for (size_t j = w->outs; w->out[i] && j < count; j++)
			if (!(w->out[i][j] = msn_alloc(sizeof(struct outcome))))
				die("no memory");
		if (!w->out[i])
			die("no memory");
	}
	if (count > w->outs)
		w->outs = count;
}

static void clear_outcome(struct outcome *o)
{
	o->result = 0;
	o->signal = o->code = 0;
	o->fault = 0;
	o->len = 0;
}

static bool may_take(struct world *w, const struct step *s)
{
	return w->side[0]->ops->can(s->op) && w->side[1]->ops->can(s->op) &&
	       w->side[0]->spaces & 1U << s->space && !step_is_forbidden(s);
}

/* Takes a group on both sides if it may be taken. */
static bool take_group(struct world *w, const struct step *s, size_t count)
{
	struct group g;

	w->why = group_init(&g, s, count);
	if (!w->why && g.common && w->opts.self)
		w->why = "the common slice, and no engine";
	if (!w->why)
		w->why = kernel_group_forbidden(w->kernel, &g);
	for (int i = 0; i < 2 && !w->why; i++)
		w->side[i]->ops->run_group(w->side[i], &g, w->out[i]);
	w->unsaid = !w->why && g.common;
	return !w->why;
}

static bool take(struct world *w, const struct step *s, size_t count)
{
	reserve_outcomes(w, count);
	for (size_t i = 0; i < count; i++) {
		if (!may_take(w, &s[i])) {
			w->why = "a step that cannot be taken now";
			return false;
		}
		clear_outcome(w->out[0][i]);
		clear_outcome(w->out[1][i]);
	}
	if (s->thread)
		return take_group(w, s, count);
	for (int i = 0; i < 2; i++)
		w->side[i]->ops->run(w->side[i], s, w->out[i][0]);
	return true;
}

/* Looks at the spaces of which @spaces has a bit, and at the files. */
static bool compare_state(struct world *w, unsigned spaces,
			  struct difference *d)
{
	for (unsigned i = 0; i < STEPPER_SLOTS; i++)
		if (w->side[0]->spaces & spaces & 1U << i &&
		    compare_space(w, i, d))
			return true;
	for (unsigned i = 0; i < FILE_COUNT; i++)
		if (file_has_bytes(i) && compare_file(w, i, d))
			return true;
	return false;
}

/*
 * A snapshot's pages do not count who shares them: after a fork some would be
 * shared to the kernel and are not here.
 */
static void look_past_sharing(struct world *w)
{
	w->opts.ignored |= 1U << FACET_EXCLUSIVE;
	if (w->detail & SIDE_SMAPS)
		w->detail |= SIDE_FLAGS_ONLY;
}

enum world_result world_step(struct world *w, const struct step *s,
			     size_t count, bool everything,
			     struct difference *d)
{
	unsigned spaces = 0;

	w->why = NULL;
	w->unsaid = false;
	if (!take(w, s, count))
		return WORLD_PASSED;
	if (w->opts.restores && strcmp(s->op->name, "fork") == 0)
		look_past_sharing(w);
	for (size_t i = 0; i < count; i++) {
		spaces |= 1U << s[i].space;
		if (w->unsaid || !compare_outcomes(w, i, d))
			continue;
		d->step = &s[i];
		return WORLD_DIFFERENT;
	}
	if (++w->steps % LOOK_AT_ALL == 0 || everything)
		spaces = ~0U;
	return compare_state(w, spaces, d) ? WORLD_DIFFERENT : WORLD_SAME;
}
