/*
 * Trial: forks, and finds out how it went.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "oracle/trial.h"

#include "oracle/op_common.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct trial *trial_new(void)
{
	struct trial *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		die("no memory to share: %m");
	return t;
}

void trial_free(struct trial *t)
{
	munmap(t, sizeof(*t));
}

void trial_add(struct trial *t, const struct step *s, size_t count)
{
	if (count > TRIAL_STEPS - t->count)
		die("a sequence has at most %d steps", TRIAL_STEPS);
	memcpy(&t->list[t->count], s, count * sizeof(*s));
	t->count += count;
}

void trial_print_last(FILE *to, const struct trial *t)
{
	for (size_t i = group_last(t->list, t->count); i < t->count; i++)
		step_print(to, &t->list[i]);
}

/* What the last step was. */
static const char *last_name(const struct trial *t)
{
	const struct step *last;

	if (!t->count)
		return "nothing";
	last = &t->list[t->count - 1];
	return last->thread ? "threads" : last->op->name;
}

void trial_differs(struct trial *t, const struct difference *d)
{
	bool in_group = d->step && d->step->thread;

	t->different = true;
	snprintf(t->signature, sizeof(t->signature), "%s of %s%s%s%s%s",
		 facet_names[d->facet], in_group ? d->step->op->name : "",
		 in_group ? " in " : "", last_name(t), *d->detail ? ": " : "",
		 d->detail);
	snprintf(t->text, sizeof(t->text), "%s", d->text);
}

/* Would what stands around the last step become one group without it? */
static bool parts_groups(const struct trial *t)
{
	return t->count > 1 && t->list[t->count - 2].thread &&
	       !t->list[t->count - 1].thread;
}

void trial_take(struct trial *t, void *ctx)
{
	const struct trial_script *q = ctx;
	struct world *w = world_new(q->opts);
	size_t n;

	for (size_t i = 0; i < q->list->count && !t->different; i += n) {
		const struct step *s = &q->list->list[i];
		enum world_result rc;
		struct difference d;

		n = group_len(s, q->list->count - i);
		trial_add(t, s, n);
		rc = world_step(w, s, n, q->everything, &d);
		if (rc == WORLD_PASSED && q->complete && s->thread)
			die("step %zu: %s", i, w->why);
		if (rc == WORLD_PASSED && !parts_groups(t))
			t->count -= n;
		if (rc != WORLD_DIFFERENT)
			continue;
		trial_differs(t, &d);
		free(d.text);
	}
	world_free(w);
}

static void note_end(struct trial *t, int status)
{
	if (status == 0)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 3)
		exit(3); /* die() has said why */
	t->different = true;
	snprintf(t->signature, sizeof(t->signature), "crash in %s",
		 last_name(t));
	snprintf(t->text, sizeof(t->text), "  the process ended: %s %d\n",
		 WIFSIGNALED(status) ? "signal" : "status",
		 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

void trial_run(struct trial *t, void (*body)(struct trial *t, void *ctx),
	       void *ctx)
{
	int status;
	pid_t pid;

	t->count = 0;
	t->different = false;
	t->text[0] = '\0';
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		die("cannot fork: %m");
	if (pid == 0) {
		body(t, ctx);
		exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("cannot wait: %m");
	if (status) {
		op_restore_clean(pid);
		files_clean(pid);
	}
	note_end(t, status);
}
