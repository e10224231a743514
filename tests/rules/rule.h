/*
 * A space and a recorder for one rule, with or without the recorder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_RULES_RULE_H
#define MSN_TESTS_RULES_RULE_H

#include "rules/recorder.h"

struct ground {
	struct fixture f;
	struct recorder r;
};

static inline struct ground *ground_new(void)
{
	struct ground *g = calloc(1, sizeof(*g));

	CHECK(g);
	g->f = setup(false);
	recorder_init(&g->r);
	g->r.mm = g->f.mm;
	return g;
}

static inline void ground_free(struct ground *g)
{
	teardown(&g->f);
	recorder_deinit(&g->r);
	free(g);
}

/* Runs its body on fresh ground @g. */
#define ON_GROUND(g)                                                           \
	for (struct ground *g = ground_new(); g; ground_free(g), g = NULL)

#define SAYS(g, text) EXPECT(strcmp(recorder_take(&(g)->r), text) == 0)

/* mmap, with its result. */
static inline int try_map(struct msn_mm *mm, struct msn_mmap_opts o)
{
	uint64_t addr;

	return msn_mm_mmap(mm, &o, &addr);
}

/* Does the listing of maps contain @text? */
static inline bool listed(struct msn_mm *mm, const char *text)
{
	char *maps;
	bool yes;

	CHECK(msn_mm_maps(mm, &maps) == 0);
	yes = strstr(maps, text) != NULL;
	free(maps);
	return yes;
}

static inline size_t mapping_count(struct msn_mm *mm)
{
	struct msn_mm_usage u;

	msn_mm_usage(mm, &u);
	return u.mappings;
}

#endif /* MSN_TESTS_RULES_RULE_H */
