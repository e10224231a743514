/*
 * Oracle: the engine's calls against the running kernel's.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    oracle [--seed N] [--steps N] [--seconds N] [--only CALL,...]
 *           [--without CALL,...] [--ignore FACET,...] [--no-fork] [--self]
 *           [--failures N] [--length N] [--shrink-seconds N] [--stats]
 *    oracle --replay FILE ...
 *
 * README.md says how to read what it prints.  Ends with 0 if everything agreed,
 * 1 if something did not, 2 for bad arguments, 77 if this machine cannot.
 */
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

struct options {
	struct world_opts world;
	uint64_t seed;
	uint64_t steps;	  /* at most; 0: no such limit */
	unsigned seconds; /* at most; 0: no such limit */
	unsigned length;  /* of a sequence */
	unsigned failures;
	unsigned shrink_seconds;
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

static void print_failure(const struct options *o, const struct steps *list,
			  const struct difference *d)
{
	if (list->count == 0)
		return;
	printf("# differs in %s after the last step:\n", facet_names[d->facet]);
	for (size_t i = 0; i < list->count; i++)
		step_print(stdout, &list->list[i]);
	printf("%s", d->text);
	(void)o;
}

static void report(const struct options *o, uint64_t seed, size_t sequence,
		   struct steps *list, struct difference *d)
{
	printf("difference in %s: seed %" PRIu64 ", sequence %zu, step %zu\n",
	       facet_names[d->facet], seed, sequence, list->count);
	printf("at: ");
	step_print(stdout, &list->list[list->count - 1]);
	printf("%s", d->text);
	fflush(stdout);
	if (!shrink(&o->world, list, d->facet, o->shrink_seconds, d))
		printf("it does not show again when the steps are run again\n");
	print_failure(o, list, d);
	printf("\n");
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

/* One sequence in one world.  True if the sides agreed to its end. */
static bool run_sequence(const struct options *o, uint64_t sequence,
			 uint64_t *left, uint64_t *done)
{
	uint64_t seed = o->seed + sequence * UINT64_C(0x632be59bd9b4e019);
	struct world *w = world_new(&o->world);
	unsigned weights[GEN_OPS_MAX];
	enum world_result rc = WORLD_SAME;
	struct steps list = { 0 };
	struct difference d;
	struct gen g;

	set_weights(o, w, weights);
	gen_start(&g, seed, weights);
	for (unsigned i = 0; i<o->length && * left> 0; i++) {
		struct step s;

		gen_step(&g, &s);
		rc = world_step(w, &s, false, &d);
		if (rc == WORLD_PASSED)
			continue;
		steps_add(&list, &s);
		stats_count(&s, w->out[0]);
		(*left)--;
		(*done)++;
		if (rc == WORLD_DIFFERENT)
			break;
		gen_learn(&g, &s, w->out[0]);
	}
	world_free(w);
	if (rc == WORLD_DIFFERENT) {
		report(o, o->seed, sequence, &list, &d);
		free(d.text);
	}
	steps_free(&list);
	return rc != WORLD_DIFFERENT;
}

static int run_random(const struct options *o)
{
	uint64_t left = o->steps ? o->steps : UINT64_MAX, done = 0;
	double start = now(), until = start + (double)o->seconds;
	unsigned failures = 0;

	printf("oracle: seed %" PRIu64 "\n", o->seed);
	for (uint64_t i = 0; left > 0 && failures < o->failures; i++) {
		if (o->seconds && now() >= until)
			break;
		failures += !run_sequence(o, i, &left, &done);
	}
	if (o->stats)
		stats_print(stdout);
	printf("%" PRIu64 " steps, %.0f a second, %u differences\n", done,
	       (double)done / (now() - start), failures);
	return failures ? 1 : 0;
}

static int replay(const struct options *o, const char *path)
{
	FILE *f = fopen(path, "re");
	struct steps list = { 0 };
	struct difference d;
	char line[512];
	size_t at;
	int rc = 0;

	if (!f)
		die("cannot open %s: %m", path);
	while (fgets(line, sizeof(line), f)) {
		struct step s;

		if (line[0] == '#' || line[0] == '\n' || line[0] == ' ')
			continue;
		if (!step_parse(line, &s))
			exit(2);
		steps_add(&list, &s);
	}
	fclose(f);
	if (world_run(&o->world, &list, &at, &d) == WORLD_DIFFERENT) {
		printf("%s: difference in %s at step %zu: ", path,
		       facet_names[d.facet], at + 1);
		step_print(stdout, &list.list[at]);
		printf("%s", d.text);
		free(d.text);
		rc = 1;
	} else {
		printf("%s: %zu steps agree\n", path, list.count);
	}
	steps_free(&list);
	return rc;
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
			     .failures = 1,
			     .shrink_seconds = 60 };
	const char *script = NULL, *why = kernel_cannot_look();
	int option;

	msn_random_bytes(&o.seed, sizeof(o.seed));
	o.seed >>= 32;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) !=
	       -1) {
		if (option == 'r')
			script = optarg;
		else
			set_option(&o, option);
	}
	if (optind < argc) {
		fprintf(stderr, "oracle: what is %s?\n", argv[optind]);
		return 2;
	}
	if (why) {
		printf("skipped: %s\n", why);
		return 77;
	}
	if (!o.steps && !o.seconds)
		o.steps = 20000;
	return script ? replay(&o, script) : run_random(&o);
}
