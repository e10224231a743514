/*
 * World: two sides that get the same steps, and what differs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_WORLD_H
#define MSN_TESTS_ORACLE_WORLD_H

#include "oracle/side.h"

/* What is compared.  A bit each, so that a run can leave some out. */
enum facet {
	FACET_RESULT,	 /* result, errno, signal */
	FACET_DATA,	 /* bytes that the call gave out */
	FACET_LAYOUT,	 /* maps */
	FACET_FIELDS,	 /* smaps */
	FACET_PAGES,	 /* pagemap: which pages are present, and of what */
	FACET_EXCLUSIVE, /* which of them are in one place only */
	FACET_BYTES,	 /* of present pages */
	FACET_FILE,	 /* size and bytes of a file */
	FACET_BLOCKS,	 /* st_blocks of a file */
	FACET_COUNT
};

extern const char *const facet_names[FACET_COUNT];

struct world_opts {
	bool self;	  /* the kernel on both sides */
	bool restores;	  /* after a fork, who shares pages is not compared */
	unsigned ignored; /* a bit for each facet that is not compared */
};

struct world {
	struct world_opts opts;
	struct kernel *kernel; /* side[0] */
	struct side *side[2];
	struct outcome **out[2]; /* of the steps that were taken last */
	size_t outs;		 /* how many there are room for */
	struct view view[2];
	unsigned detail; /* what both sides can tell */
	unsigned steps;
	const char *why; /* a group was passed over */
	bool unsaid; /* the outcomes of the last group are nobody's to say */
	/* NULL: nobody.  Is told of what the kernel has in a space. */
	void (*seen)(void *ctx, unsigned space, const struct view *v);
	void *ctx;
};

/*
 * How the sides differ.  @detail is what makes it one difference and not
 * another of the same facet; @text is for free().
 */
struct difference {
	enum facet facet;
	const struct step *step; /* of a group, whose outcome it is; or NULL */
	char detail[64];
	char *text;
};

struct world *world_new(const struct world_opts *opts);
void world_free(struct world *w);

/* What a step came to. */
enum world_result {
	WORLD_SAME = 0,
	WORLD_DIFFERENT, /* @d says how; the world is of no use any more */
	WORLD_PASSED,	 /* the step could not be taken in this state */
};

/*
 * Takes one step, or the @count steps of a group, on both sides and compares.
 * @everything: look at every space, not just at those where the step is most
 * likely to have done something.
 */
enum world_result world_step(struct world *w, const struct step *s,
			     size_t count, bool everything,
			     struct difference *d);

#endif /* MSN_TESTS_ORACLE_WORLD_H */
