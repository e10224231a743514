/*
 * Pages that one thread has for itself, in spaces that all threads use: they
 * hold what it wrote, whatever the others do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "stress/stress.h"

#include <errno.h>
#include <string.h>

#define WORDS (PAGE / sizeof(uint64_t))

static uint64_t word_of(const struct worker *k, unsigned root, unsigned page,
			uint32_t version)
{
	return version ? (uint64_t)version << 32 | root << 16 | k->nr << 8 |
				 page
		       : 0;
}

static bool map_page(struct worker *k, struct msn_mm *mm, uint64_t page)
{
	struct msn_mmap_opts o = { .length = PAGE,
				   .addr = AT(page),
				   .fixed = true,
				   .no_replace = true,
				   .perms = RW,
				   .max_perms = MSN_ACCESS_ANY,
				   .private = true };
	uint64_t addr;
	int rc = msn_mm_mmap(mm, &o, &addr);

	(void)k;
	MUST(rc == 0 || rc == -ENOMEM || rc == -EAGAIN); /* limits */
	return rc == 0;
}

void own_start(struct worker *k)
{
	for (unsigned root = 0; root < k->w->roots; root++)
		for (unsigned i = 0; i < OWN_PAGES; i++) {
			uint64_t at = OWN(k->nr) + i;

			MUST(map_page(k, k->w->slots[root].mm, at));
			k->own[root][i].at = at;
		}
}

static void write_page(struct worker *k, struct slot *s, unsigned i,
		       uint64_t at, struct own_page *p)
{
	uint64_t words[WORDS];
	size_t done;
	int rc;

	++k->version;
	for (size_t j = 0; j < WORDS; j++)
		words[j] = word_of(k, s->root, i, k->version);
	rc = msn_mm_copy_out(s->mm, AT(at), words, PAGE, plain, &done);
	MUST(rc == 0 || (rc == -EFAULT && done == 0 && !p));
	if (p) {
		p->version = k->version;
		p->lazy = false;
	}
}

static void read_page(struct worker *k, struct slot *s, unsigned i,
		      struct own_page *p)
{
	uint64_t words[WORDS], want = word_of(k, s->root, i, p->version);
	size_t done;

	MUST(msn_mm_copy_in(s->mm, AT(p->at), words, PAGE, plain, &done) == 0);
	if (p->lazy && words[0] == 0)
		want = 0;
	for (size_t j = 0; j < WORDS; j++)
		MUST(words[j] == want);
}

static void move_page(struct worker *k, struct slot *s, unsigned i,
		      struct own_page *p)
{
	uint64_t home = OWN(k->nr) + i, spare = SPARE(k->nr) + i, out;
	uint64_t to = p->at == home ? spare : home;
	int rc = msn_mm_mremap(s->mm, AT(p->at), PAGE, PAGE,
			       MREMAP_MAYMOVE | MREMAP_FIXED, AT(to), &out);

	MUST(rc == 0 || rc == -ENOMEM || rc == -EAGAIN);
	if (rc == 0)
		p->at = to;
}

static void advise_page(struct worker *k, struct slot *s, struct own_page *p)
{
	static const int kinds[] = { MADV_DONTNEED,	 MADV_FREE,
				     MADV_WILLNEED,	 MADV_COLD,
				     MADV_PAGEOUT,	 MADV_POPULATE_READ,
				     MADV_POPULATE_WRITE };
	int kind = kinds[pick(k, sizeof(kinds) / sizeof(kinds[0]))];
	int rc = msn_mm_madvise(s->mm, AT(p->at), PAGE, kind);

	if (rc)
		MUST(rc == -EINVAL || rc == -EAGAIN); /* it is locked */
	if (rc == 0 && kind == MADV_DONTNEED)
		*p = (struct own_page){ .at = p->at };
	if (rc == 0 && kind == MADV_FREE)
		p->lazy = true;
}

static void protect_page(struct worker *k, struct slot *s, unsigned i,
			 struct own_page *p)
{
	uint8_t byte = 1;
	size_t done;
	int rc = msn_mm_mprotect(s->mm, AT(p->at), PAGE, PROT_READ);

	MUST(rc == 0 || rc == -ENOMEM);
	if (rc)
		return;
	MUST(msn_mm_copy_out(s->mm, AT(p->at), &byte, 1, plain, &done) ==
	     -EFAULT);
	read_page(k, s, i, p);
	/* Limits may be in the way for a while. */
	do
		rc = msn_mm_mprotect(s->mm, AT(p->at), PAGE,
				     PROT_READ | PROT_WRITE);
	while (rc == -ENOMEM);
	MUST(rc == 0);
}

static void unmap_page(struct slot *s, struct own_page *p)
{
	int rc = msn_mm_munmap(s->mm, AT(p->at), PAGE);

	MUST(rc == 0 || rc == -ENOMEM);
	if (rc == 0)
		*p = (struct own_page){ 0 };
}

void own_step(struct worker *k, struct slot *s)
{
	unsigned i = (unsigned)pick(k, OWN_PAGES);
	struct own_page *p = &k->own[s->root][i];

	if (!p->at) {
		if (map_page(k, s->mm, OWN(k->nr) + i))
			p->at = OWN(k->nr) + i;
		return;
	}
	switch (pick(k, 12)) {
	case 0:
		move_page(k, s, i, p);
		break;
	case 1:
	case 2:
		advise_page(k, s, p);
		break;
	case 3:
		protect_page(k, s, i, p);
		break;
	case 4:
		unmap_page(s, p);
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		read_page(k, s, i, p);
		break;
	default:
		write_page(k, s, i, p->at, p);
	}
}

void own_child_step(struct worker *k, struct slot *s)
{
	unsigned i = (unsigned)pick(k, OWN_PAGES);
	uint64_t at = (pick(k, 2) ? OWN(k->nr) : SPARE(k->nr)) + i;
	uint64_t words[WORDS], version;
	size_t done;

	if (msn_mm_copy_in(s->mm, AT(at), words, PAGE, plain, &done))
		return; /* it was not mapped when the child was made */
	version = words[0] >> 32;
	MUST(version <= k->version);
	for (size_t j = 0; j < WORDS; j++)
		MUST(words[j] == word_of(k, s->root, i, (uint32_t)version));
	if (pick(k, 2))
		write_page(k, s, i, at, NULL);
}

void own_check(struct worker *k)
{
	for (unsigned root = 0; root < k->w->roots; root++)
		for (unsigned i = 0; i < OWN_PAGES; i++)
			if (k->own[root][i].at)
				read_page(k, &k->w->slots[root], i,
					  &k->own[root][i]);
}
