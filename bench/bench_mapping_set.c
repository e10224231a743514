/*
 * Mapping set: adding and removing one mapping of a file that thousands of
 * spaces map, against the same with ten.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"
#include "benches.h"
#include "mapping/mapping_set.h"

#define SPACES 10000
#define FEW 10
#define PAGES 256
#define CALLS 20000

static void nobody_hears(struct msn_mapping_space *ms, struct msn_addr_range ar,
			 struct msn_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static const struct msn_mapping_space_ops deaf = { .invalidate = nobody_hears };

static struct msn_mapping_space spaces[SPACES];

/* Where a space maps the file: not at the same address in all. */
static struct msn_addr_range place_of(size_t i)
{
	uint64_t start = (UINT64_C(1) << 40) + i * PAGES * MSN_PAGE_SIZE;

	return (struct msn_addr_range){ start, start + PAGES * MSN_PAGE_SIZE };
}

static void add(struct msn_mapping_set *set, size_t i)
{
	int rc = msn_mapping_set_add(set, &spaces[i], place_of(i), 0, false,
				     NULL, NULL);

	if (rc)
		bench_die("adding a mapping", rc, NULL);
}

static void take_out(struct msn_mapping_set *set, size_t i)
{
	msn_mapping_set_remove(set, &spaces[i], place_of(i), 0, false, NULL,
			       NULL);
}

static struct msn_mapping_set *set_of(size_t count)
{
	struct msn_mapping_set *set;
	int rc = msn_mapping_set_new(&set);

	if (rc)
		bench_die("making a mapping set", rc, NULL);
	for (size_t i = 0; i < count; i++)
		add(set, i);
	return set;
}

static double timed(struct msn_mapping_set *set, size_t count)
{
	double start = bench_now();

	for (size_t n = 0; n < CALLS; n++) {
		take_out(set, n * 7919 % count);
		add(set, n * 7919 % count);
	}
	return (bench_now() - start) / CALLS;
}

/* What does not depend on caches: tree nodes looked at by one such change. */
static double visits(struct msn_mapping_set *set, size_t count)
{
	uint64_t before = msn_mapping_set_visits(set);

	timed(set, count);
	return (double)(msn_mapping_set_visits(set) - before) / CALLS;
}

static void add_visits(struct msn_mapping_set *few,
		       struct msn_mapping_set *many)
{
	double n = visits(many, SPACES), m = visits(few, FEW);

	bench_add(&(struct bench_row){ .bench = "mapset",
				       .what = "nodes looked at, 10000 spaces",
				       .limit_name = "the same with 10 spaces",
				       .subject = n,
				       .limit = m,
				       .unit = "nodes",
				       .ratio = n / m,
				       .ratio_min = n / m,
				       .ratio_max = n / m,
				       .goal = 4, /* log 10000 over log 10 */
				       .goal_is_most = true,
				       .rounds = 1 });
}

void bench_mapping_set(const struct bench_opts *o)
{
	struct bench_series s = { .rounds = o->rounds };
	struct msn_mapping_set *few, *many;
	struct bench_row row;

	for (size_t i = 0; i < SPACES; i++)
		spaces[i].ops = &deaf;
	few = set_of(FEW);
	many = set_of(SPACES);
	for (unsigned i = 0; i < o->rounds; i++) {
		s.limit[i] = timed(few, FEW);
		s.subject[i] = timed(many, SPACES);
	}
	row = bench_row(&s, 0);
	row.bench = "mapset";
	row.what = "remove and add, 10000 spaces";
	row.limit_name = "the same with 10 spaces";
	bench_add(&row);
	add_visits(few, many);
	for (size_t i = 0; i < SPACES; i++)
		take_out(many, i);
	for (size_t i = 0; i < FEW; i++)
		take_out(few, i);
	msn_mapping_set_free(few);
	msn_mapping_set_free(many);
}
