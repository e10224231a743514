/*
 * Oracle: the engine's calls against the running kernel's.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    oracle [--seed N] [--steps N] [--seconds N] [--only CALL,...]
 *           [--without CALL,...] [--ignore FACET,...] [--no-fork] [--self]
 *           [--failures N] [--length N] [--shrink-seconds N] [--stats]
 *           [--save-restore PERMILLE] [--threads PERMILLE]
 *    oracle --replay FILE...
 *
 * README.md says how to read what it prints.  Ends with 0 if everything agreed,
 * 1 if something did not, 2 for bad arguments, 77 if this machine cannot.
 */
#include "base/alloc.h"
#include "base/cleanup.h"
#include "base/rand.h"
#include "oracle/gen.h"
#include "oracle/kernel.h"
#include "oracle/shrink.h"
#include "oracle/stats.h"
#include "oracle/text.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So many steps of a thousand are groups of threads, unless told otherwise. */
#define THREADS_PERMILLE 100

/* How often what has threads is taken again: they meet by chance. */
#define REPLAYS 20

struct options {
	struct world_opts world;
	uint64_t seed;
	uint64_t steps;	  /* at most; 0: no such limit */
	unsigned seconds; /* at most; 0: no such limit */
	unsigned length;  /* of a sequence */
	unsigned failures;
	unsigned shrink_seconds;
	unsigned restore_permille, threads_permille;
	bool stats;
	bool excluded[GEN_OPS_MAX];
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- Runs ---------------------------------------------------------------- */

/* Differences that were reported; the same again is only counted. */
struct seen {
	char (*list)[sizeof(((struct trial *)0)->signature)];
	size_t count, cap;
};

static bool is_new(struct seen *seen, const struct trial *t)
{
	for (size_t i = 0; i < seen->count; i++)
		if (strcmp(seen->list[i], t->signature) == 0)
			return false;
	if (msn_grow((void **)&seen->list, &seen->cap, seen->count,
		     sizeof(*seen->list)))
		die("no memory");
	memcpy(seen->list[seen->count++], t->signature, sizeof(t->signature));
	return true;
}

/* What is left of it may turn out to be one that was reported before. */
static void report(const struct options *o, uint64_t sequence, struct trial *t,
		   struct seen *seen)
{
	char signature[sizeof(t->signature)];

	memcpy(signature, t->signature, sizeof(signature));
	printf("difference in %s\n", t->signature);
	printf("  seed %" PRIu64 ", sequence %" PRIu64 ", step %zu:\n", o->seed,
	       sequence, t->count);
	trial_print_last(stdout, t);
	printf("%s", t->text);
	fflush(stdout);
	if (!shrink(&o->world, t, o->shrink_seconds))
		printf("it does not show when the steps are run again\n");
	if (strcmp(signature, t->signature) != 0 && !is_new(seen, t)) {
		printf("it is: %s\n\n", t->signature);
		return;
	}
	printf("# %s\n", t->signature);
	for (size_t i = 0; i < t->count; i++)
		step_print(stdout, &t->list[i]);
	printf("%s\n", t->text);
	fflush(stdout);
}

static void set_weights(const struct options *o, const struct world *w,
			unsigned weights[GEN_OPS_MAX])
{
	for (size_t i = 0; ops[i]; i++) {
		bool can = w->side[0]->ops->can(ops[i]) &&
			   w->side[1]->ops->can(ops[i]);

		weights[i] = can && !o->excluded[i] ? ops[i]->weight : 0;
	}
}

struct sequence {
	const struct options *o;
	uint64_t number, left; /* left: steps that may be taken */
};

static void observe(void *ctx, unsigned space, const struct view *v)
{
	gen_observe(ctx, space, v);
}

static void learn(struct gen *g, const struct world *w, const struct step *s,
		  size_t count)
{
	for (size_t i = 0; i < count && !w->unsaid; i++) {
		stats_count(&s[i], w->out[0][i]);
		gen_learn(g, &s[i], w->out[0][i]);
	}
	g->grouped = s->thread;
	if (s->thread)
		stats_count_group(NULL);
}

/* Makes a step and takes it.  False if the sides differ by it. */
static bool take_next(struct world *w, struct gen *g, struct trial *t)
{
	struct step s[GROUP_STEPS];
	size_t n = gen_steps(g, s);
	struct difference d;
	enum world_result rc;

	trial_add(t, s, n);
	rc = world_step(w, s, n, false, &d);
	if (rc == WORLD_PASSED) {
		t->count -= n;
		if (s->thread)
			stats_count_group(w->why);
		return true;
	}
	learn(g, w, s, n);
	if (rc == WORLD_SAME)
		return true;
	trial_differs(t, &d);
	free(d.text);
	return false;
}

/* In a process of its own: one sequence in one world. */
static void run_sequence(struct trial *t, void *ctx)
{
	const struct sequence *q = ctx;
	struct world *w = world_new(&q->o->world);
	unsigned weights[GEN_OPS_MAX];
	struct gen g;

	w->seen = observe;
	w->ctx = &g;
	set_weights(q->o, w, weights);
	gen_start(&g, q->o->seed + q->number * UINT64_C(0x632be59bd9b4e019),
		  weights);
	g.restore_permille = q->o->restore_permille;
	g.threads_permille = q->o->threads_permille;
	g.restores = g.restore_permille > 0;
	for (unsigned i = 0; i < q->o->length && t->count < q->left; i++)
		if (t->count + GROUP_STEPS > TRIAL_STEPS ||
		    !take_next(w, &g, t))
			break;
	world_free(w);
}

/*
 * Pages that nobody wrote are the kernel's to drop whenever it likes: a host
 * that takes back memory early does.  They are seen in these facets alone.
 */
static bool may_be_dropped_pages(const struct trial *t)
{
	return strncmp(t->signature, "blocks of", 9) == 0 ||
	       strncmp(t->signature, "pages of", 8) == 0 ||
	       strncmp(t->signature, "fields of", 9) == 0;
}

/*
 * Runs a sequence; one that may differ by the kernel's doing alone, again.  An
 * engine that is wrong is so each time, or with threads one time of a few.
 */
static void run_undisturbed(struct trial *t, struct sequence *q)
{
	unsigned times;

	trial_run(t, run_sequence, q);
	if (!t->different || !may_be_dropped_pages(t))
		return;
	printf("sequence %" PRIu64 ", step %zu: %s%s", q->number, t->count,
	       t->signature, ": is run again\n");
	times = t->list[t->count - 1].thread ? REPLAYS : 1;
	do
		trial_run(t, run_sequence, q);
	while (!t->different && --times > 0);
}

static int run_random(const struct options *o)
{
	double start = now(), until = start + (double)o->seconds, shrinking = 0;
	struct sequence q = { o, 0, o->steps ? o->steps : UINT64_MAX };
	struct trial *t = trial_new();
	unsigned failures = 0;
	struct seen seen = { 0 };
	uint64_t done = 0, taken;

	printf("oracle: seed %" PRIu64 "\n", o->seed);
	for (; q.left > 0 && seen.count < o->failures; q.number++) {
		if (o->seconds && now() >= until)
			break;
		run_undisturbed(t, &q);
		taken = t->count;
		if (t->different) {
			double before = now();

			failures++;
			if (is_new(&seen, t))
				report(o, q.number, t, &seen);
			shrinking += now() - before;
		}
		done += taken;
		q.left -= taken < q.left ? taken : q.left; /* or a group */
	}
	trial_free(t);
	free(seen.list);
	if (o->stats)
		stats_print(stdout);
	printf("%" PRIu64 " steps, %u groups of threads among them, %.0f a "
	       "second, %u sequences differed\n",
	       done, stats_groups(), (double)done / (now() - start - shrinking),
	       failures);
	return failures ? 1 : 0;
}

/* Reads a script. */
static void read_steps(const char *path, struct steps *list)
{
	FILE *f = fopen(path, "re");
	char line[512];

	if (!f)
		die("cannot open %s: %m", path);
	while (fgets(line, sizeof(line), f)) {
		struct step s;

		if (line[0] == '#' || line[0] == '\n' || line[0] == ' ')
			continue;
		if (!step_parse(line, &s))
			exit(2);
		steps_add(list, &s);
	}
	fclose(f);
}

static bool replay_once(const struct options *o, const char *path,
			bool everything, bool apart)
{
	struct steps list = { 0 };
	struct trial_script q = { &o->world, &list, everything, true };
	struct trial *t = trial_new();
	unsigned times = 1;
	bool different;

	read_steps(path, &list);
	if (steps_have_threads(&list) && apart)
		times = REPLAYS;
	do
		if (apart)
			trial_run(t, trial_take, &q);
		else
			trial_take(t, &q);
	while (!t->different && --times > 0);
	different = t->different;
	if (different) {
		printf("%s: difference in %s\n", path, t->signature);
		trial_print_last(stdout, t);
		printf("%s", t->text);
	} else if (!everything) {
		printf("%s: %zu steps agree\n", path, t->count);
	}
	trial_free(t);
	steps_free(&list);
	return different;
}

/*
 * Twice: every space looked at after every step, then only the step's own.  A
 * look touches pages, and may show a difference or hide one.  @apart: not in
 * this process, where a debugger sees it.
 */
static int replay(const struct options *o, const char *path, bool apart)
{
	return replay_once(o, path, true, apart) ||
	       replay_once(o, path, false, apart);
}

/* ---- Arguments ----------------------------------------------------------- */

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 0);

	if (end == text || *end) {
		fprintf(stderr, "oracle: %s is no number\n", text);
		exit(2);
	}
	return n;
}

static unsigned permille(const char *text)
{
	uint64_t n = number(text);

	if (n > 1000) {
		fprintf(stderr, "oracle: %s is more than 1000 permille\n",
			text);
		exit(2);
	}
	return (unsigned)n;
}

/* Sets excluded[] of each call that is named to @to. */
static void name_calls(struct options *o, char *list, bool to)
{
	char *save = NULL;

	for (char *name = strtok_r(list, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		const struct op *op = op_find(name);

		if (!op) {
			fprintf(stderr, "oracle: no call is named %s\n", name);
			exit(2);
		}
		o->excluded[op_index(op)] = to;
	}
}

static void only_calls(struct options *o, char *list)
{
	for (size_t i = 0; i < GEN_OPS_MAX; i++)
		o->excluded[i] = true;
	name_calls(o, list, false);
}

static void ignore_facets(struct options *o, char *list)
{
	char *save = NULL;

	for (char *name = strtok_r(list, ",", &save); name;
	     name = strtok_r(NULL, ",", &save)) {
		unsigned i = 0;

		while (i < FACET_COUNT && strcmp(facet_names[i], name) != 0)
			i++;
		if (i == FACET_COUNT) {
			fprintf(stderr, "oracle: no facet is named %s\n", name);
			exit(2);
		}
		o->world.ignored |= 1U << i;
	}
}

static void set_save_restore(struct options *o, unsigned permille)
{
	o->restore_permille = permille;
	o->world.restores = true;
}

static const struct option long_options[] = {
	{ "seed", required_argument, NULL, 's' },
	{ "steps", required_argument, NULL, 'n' },
	{ "seconds", required_argument, NULL, 't' },
	{ "length", required_argument, NULL, 'l' },
	{ "failures", required_argument, NULL, 'f' },
	{ "shrink-seconds", required_argument, NULL, 'k' },
	{ "only", required_argument, NULL, 'o' },
	{ "without", required_argument, NULL, 'w' },
	{ "ignore", required_argument, NULL, 'i' },
	{ "replay", required_argument, NULL, 'r' },
	{ "save-restore", required_argument, NULL, 'R' },
	{ "threads", required_argument, NULL, 'H' },
	{ "no-fork", no_argument, NULL, 'F' },
	{ "self", no_argument, NULL, 'S' },
	{ "stats", no_argument, NULL, 'T' },
	{ "normalisations", no_argument, NULL, 'N' },
	{ 0 },
};

static void set_option(struct options *o, int option)
{
	switch (option) {
	case 's':
		o->seed = number(optarg);
		break;
	case 'n':
		o->steps = number(optarg);
		break;
	case 't':
		o->seconds = (unsigned)number(optarg);
		break;
	case 'l':
		o->length = (unsigned)number(optarg);
		break;
	case 'f':
		o->failures = (unsigned)number(optarg);
		break;
	case 'k':
		o->shrink_seconds = (unsigned)number(optarg);
		break;
	case 'o':
		only_calls(o, optarg);
		break;
	case 'w':
		name_calls(o, optarg, true);
		break;
	case 'i':
		ignore_facets(o, optarg);
		break;
	case 'F':
		name_calls(o, (char[]){ "fork,exit" }, true);
		break;
	case 'R':
		set_save_restore(o, permille(optarg));
		break;
	case 'H':
		o->threads_permille = permille(optarg);
		break;
	case 'S':
		o->world.self = true;
		break;
	case 'T':
		o->stats = true;
		break;
	case 'N':
		text_print_normalisations(stdout);
		exit(0);
	default:
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct options o = { .length = 300,
			     .threads_permille = THREADS_PERMILLE,
			     .failures = 1,
			     .shrink_seconds = 60 };
	const char *script = NULL, *why = kernel_cannot_look();
	int option, rc;

	msn_random_bytes(&o.seed, sizeof(o.seed));
	o.seed >>= 32;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) !=
	       -1) {
		if (option == 'r')
			script = optarg;
		else
			set_option(&o, option);
	}
	if (!script && optind < argc) {
		fprintf(stderr, "oracle: what is %s?\n", argv[optind]);
		return 2;
	}
	if (why) {
		printf("skipped: %s\n", why);
		return 77;
	}
	kernel_prepare();
	stats_start();
	if (!o.steps && !o.seconds)
		o.steps = 20000;
	if (!script)
		return run_random(&o);
	rc = replay(&o, script, optind < argc);
	for (; optind < argc; optind++)
		rc |= replay(&o, argv[optind], true);
	return rc;
}
