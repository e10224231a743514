/*
 * Step: scripts and lists.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/step.h"

#include "base/alloc.h"
#include "oracle/stepper.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void complain(const char *fmt, va_list ap)
{
	fprintf(stderr, "oracle: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\n");
}

void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	exit(3);
}

void broken(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain(fmt, ap);
	va_end(ap);
	abort();
}

const struct op *op_find(const char *name)
{
	for (size_t i = 0; ops[i]; i++)
		if (strcmp(ops[i]->name, name) == 0)
			return ops[i];
	return NULL;
}

unsigned op_index(const struct op *op)
{
	unsigned i = 0;

	while (ops[i] != op)
		i++;
	return i;
}

void steps_add(struct steps *list, const struct step *s)
{
	if (msn_grow((void **)&list->list, &list->cap, list->count,
		     sizeof(*list->list)))
		die("no memory");
	list->list[list->count++] = *s;
}

void steps_free(struct steps *list)
{
	free(list->list);
	*list = (struct steps){ 0 };
}

bool steps_have_threads(const struct steps *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->list[i].thread)
			return true;
	return false;
}

void step_print(FILE *to, const struct step *s)
{
	fprintf(to, "%u", s->space);
	if (s->thread)
		fprintf(to, ".%u", s->thread);
	fprintf(to, " %s", s->op->name);
	for (size_t i = 0; s->op->args[i]; i++)
		fprintf(to, " %s=%#llx", s->op->args[i],
			(unsigned long long)s->args[i]);
	fprintf(to, "\n");
}

static bool parse_arg(const char *word, struct step *s)
{
	const char *eq = strchr(word, '=');
	char *end;

	if (!eq)
		return false;
	for (size_t i = 0; s->op->args[i]; i++) {
		size_t n = (size_t)(eq - word);

		if (strlen(s->op->args[i]) != n ||
		    strncmp(word, s->op->args[i], n) != 0)
			continue;
		errno = 0;
		s->args[i] = strtoull(eq + 1, &end, 0);
		return errno == 0 && end > eq + 1 && *end == '\0';
	}
	return false;
}

/* "SPACE" or "SPACE.THREAD". */
static bool parse_who(const char *word, struct step *s)
{
	char *end;

	s->space = (unsigned)strtoul(word, &end, 0);
	if (end == word || s->space >= STEPPER_SLOTS)
		return false;
	if (*end != '.')
		return *end == '\0';
	word = end + 1;
	s->thread = (unsigned)strtoul(word, &end, 0);
	return s->thread > 0 && s->thread <= STEPPER_THREADS && *end == '\0';
}

bool step_parse(const char *line, struct step *s)
{
	char text[512], *save = NULL, *word;

	*s = (struct step){ 0 };
	snprintf(text, sizeof(text), "%s", line);
	word = strtok_r(text, " \t\n", &save);
	if (!word || !parse_who(word, s)) {
		fprintf(stderr, "oracle: no space and thread: %s", line);
		return false;
	}
	word = strtok_r(NULL, " \t\n", &save);
	s->op = word ? op_find(word) : NULL;
	if (!s->op) {
		fprintf(stderr, "oracle: no such call: %s", line);
		return false;
	}
	while ((word = strtok_r(NULL, " \t\n", &save)) && word[0] != '#') {
		if (parse_arg(word, s))
			continue;
		fprintf(stderr, "oracle: %s: what is %s?\n", s->op->name, word);
		return false;
	}
	return true;
}

/*
 * A range that wraps is refused by every call before it does anything, and so
 * may be tried.
 */
static bool range_is_foreign(uint64_t addr, uint64_t len)
{
	uint64_t up = (len + 4095) & ~UINT64_C(4095), end = addr + up;

	if (len == 0)
		up = 4096, end = addr + up;
	if (up < len || end < addr)
		return false;
	/* A page of distance, so that nothing grows into it either. */
	return addr < STEPPER_FOREIGN_END + 4096 && end > STEPPER_TEXT - 4096;
}

bool step_is_forbidden(const struct step *s)
{
	if (s->op->is_left_out && s->op->is_left_out(s))
		return true;
	for (size_t i = 0; i < 2; i++) {
		const struct op_range *r = &s->op->ranges[i];

		if (r->used &&
		    range_is_foreign(s->args[r->addr], s->args[r->len]))
			return true;
	}
	return false;
}
