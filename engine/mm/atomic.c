/*
 * Words that several threads share: atomic access, and keys for futexes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mm/mm_calls.h"

#include "base/error.h"
#include "block/safecopy.h"
#include "mm/mm_internal.h"

#include <errno.h>

#define WORD sizeof(uint32_t)

enum word_op { WORD_LOAD, WORD_SWAP, WORD_CAS };

/* One access to a word. */
struct word {
	struct msn_mm *mm;
	enum word_op op;
	uint64_t addr;
	uint32_t expected, desired; /* of what writes */
	uint32_t seen;		    /* what was there */
};

static unsigned word_access(const struct word *w)
{
	return w->op == WORD_LOAD ? MSN_ACCESS_READ
				  : MSN_ACCESS_READ | MSN_ACCESS_WRITE;
}

/* Does it once; a swap may have to be done again. */
static int touch(struct word *w, uint32_t *at)
{
	if (w->op == WORD_LOAD)
		return msn_safeload32(at, &w->seen);
	return msn_safecas32(at, w->expected, w->desired, &w->seen);
}

static int touch_tables(struct word *w)
{
	msn_read_scope(&w->mm->active);
	if (w->op == WORD_LOAD)
		return msn_pass(
			msn_address_space_load32(w->mm->as, w->addr, &w->seen));
	return msn_pass(msn_address_space_cas32(w->mm->as, w->addr, w->expected,
						w->desired, &w->seen));
}

static int touch_kernel(struct word *w, struct msn_seg vma)
{
	int rc = touch_tables(w);

	/* Nothing there: perhaps the object has a page by now. */
	if (rc > 0)
		rc = msn_mm_fault_missing(w->mm, vma, w->addr);
	else
		return msn_pass(rc);
	return rc ? msn_pass(rc) : msn_pass(touch_tables(w));
}

/* The page is in place. */
static int touch_placed(struct word *w, const struct msn_page_place *place)
{
	uint64_t at = place->offset + (w->addr & MSN_PAGE_MASK);
	struct msn_file_range r = { at, at + WORD };
	struct msn_spans spans;
	size_t done;
	int rc = msn_file_map_internal(place->file, r, word_access(w), &spans);

	/* Moving bytes is not atomic, but nobody here could tell of a load. */
	if (rc == MSN_FILE_E_BUFFERED && w->op == WORD_LOAD)
		return msn_pass(
			msn_file_read(place->file, at, &w->seen, WORD, &done));
	return rc ? msn_pass(rc) : touch(w, spans.span[0].data);
}

/* The mapping lock is held; takes the active lock. */
static int touch_page(struct word *w, struct msn_seg vma)
{
	uint64_t page = msn_page_down(w->addr);
	struct msn_addr_range want = { page, page + MSN_PAGE_SIZE };
	struct msn_page_place place;
	int rc;

	if (w->mm->as->ops->kernel_faults)
		return msn_pass(touch_kernel(w, vma));
	{
		msn_read_scope(&w->mm->active);
		if (msn_mm_peek_page(w->mm, want, word_access(w), &place))
			return msn_pass(touch_placed(w, &place));
	}
	msn_write_scope(&w->mm->active);
	rc = msn_mm_get_page(w->mm, vma, want, word_access(w), &place);
	return rc ? msn_pass(rc) : msn_pass(touch_placed(w, &place));
}

/* The mapping at @addr if its rights allow @access.  Mapping lock held. */
static struct msn_seg find_permitted(struct msn_mm *mm, uint64_t addr,
				     unsigned access)
{
	struct msn_seg s = msn_vma_set_find(&mm->vmas, addr);

	if (msn_seg_ok(s) &&
	    (access & ~(unsigned)msn_vma_effective_perms(
			      msn_vma_set_value(&mm->vmas, s))))
		return (struct msn_seg){ 0 };
	return s;
}

static int access_word(struct word *w)
{
	struct msn_seg vma;
	int rc;

	if (w->addr % WORD)
		return msn_fail(-EFAULT);
	if (!w->mm->as->ops->kernel_faults && !msn_mm_reach(w->mm, w->addr))
		return msn_fail(-EFAULT);
	msn_read_scope(&w->mm->mapping);
	vma = find_permitted(w->mm, w->addr, word_access(w));
	if (!msn_seg_ok(vma))
		return msn_fail(-EFAULT);
	rc = touch_page(w, vma);
	while (rc == 0 && w->op == WORD_SWAP && w->seen != w->expected) {
		w->expected = w->seen;
		rc = touch_page(w, vma);
	}
	return rc > 0 ? msn_fail(-EFAULT) : msn_pass(rc);
}

int msn_mm_load32(struct msn_mm *mm, uint64_t addr, uint32_t *value)
{
	struct word w = { .mm = mm, .op = WORD_LOAD, .addr = addr };
	int rc = access_word(&w);

	if (rc == 0)
		*value = w.seen;
	return msn_pass(rc);
}

int msn_mm_swap32(struct msn_mm *mm, uint64_t addr, uint32_t value,
		  uint32_t *seen)
{
	struct word w = {
		.mm = mm, .op = WORD_SWAP, .addr = addr, .desired = value
	};
	int rc = access_word(&w);

	if (rc == 0)
		*seen = w.seen;
	return msn_pass(rc);
}

int msn_mm_cas32(struct msn_mm *mm, uint64_t addr, uint32_t expected,
		 uint32_t desired, uint32_t *seen)
{
	struct word w = { .mm = mm,
			  .op = WORD_CAS,
			  .addr = addr,
			  .expected = expected,
			  .desired = desired };
	int rc = access_word(&w);

	if (rc == 0)
		*seen = w.seen;
	return msn_pass(rc);
}

/* ---- Futex keys ---------------------------------------------------------- */

/*
 * Brings the page at @addr in as a thread that waits there has it: to be
 * written if that is permitted, so that a private page is the space's own
 * from now on; else to be read.  Mapping lock held; *@own: a private page.
 */
static int fix_page(struct msn_mm *mm, struct msn_seg s, uint64_t addr,
		    bool writable, bool *own)
{
	const struct msn_vma *v = msn_vma_set_value(&mm->vmas, s);
	uint64_t page = msn_page_down(addr);
	struct msn_addr_range want = { page, page + MSN_PAGE_SIZE };
	struct msn_page_place place;
	const struct msn_pma *p;
	struct msn_seg seg;
	int rc;

	*own = msn_vma_private(v) && (writable || !v->mappable);
	msn_write_scope(&mm->active);
	if (mm->as->ops->kernel_faults) {
		rc = msn_mm_place_missing(mm, s, want);
		if (rc)
			return msn_pass(rc);
		rc = msn_address_space_advise(mm->as, want,
					      writable ? MSN_AS_POPULATE_WRITE
						       : MSN_AS_POPULATE_READ);
		return msn_pass(rc);
	}
	rc = msn_mm_get_page(mm, s, want,
			     writable ? MSN_ACCESS_READ | MSN_ACCESS_WRITE
				      : MSN_ACCESS_READ,
			     &place);
	if (rc)
		return rc > 0 ? msn_fail(-EFAULT) : msn_pass(rc);
	seg = msn_pma_set_find(&mm->pmas, page);
	p = msn_pma_set_value(&mm->pmas, seg);
	*own = p->private;
	return 0;
}

/* get_futex_key() of Linux for a futex that other spaces may use as well. */
static int shared_key(struct msn_mm *mm, uint64_t addr,
		      struct msn_futex_key *out)
{
	bool writable, own = false;
	const struct msn_vma *v;
	struct msn_seg s;
	int rc;

	msn_read_scope(&mm->mapping);
	s = msn_vma_set_find(&mm->vmas, addr);
	if (!msn_seg_ok(s))
		return msn_fail(-EFAULT);
	v = msn_vma_set_value(&mm->vmas, s);
	writable = v->flags & MSN_VMA_WRITE;
	if (!writable && !(v->flags & MSN_VMA_READ))
		return msn_fail(-EFAULT);
	rc = fix_page(mm, s, addr, writable, &own);
	if (rc)
		return msn_pass(rc);
	/* Nobody ever changes what may only be read and is nobody else's. */
	if (own && !writable)
		return msn_fail(-EFAULT);
	if (own) {
		*out = (struct msn_futex_key){ MSN_FUTEX_ANONYMOUS, mm, addr,
					       NULL };
		return 0;
	}
	*out = (struct msn_futex_key){
		MSN_FUTEX_OBJECT, v->mappable,
		v->offset + (addr - msn_vma_set_range(s).start), v->identity
	};
	msn_identity_inc_ref(v->identity);
	return 0;
}

int msn_mm_futex_key(struct msn_mm *mm, uint64_t addr, bool shared,
		     struct msn_futex_key *out)
{
	if (addr % WORD)
		return msn_fail(-EINVAL);
	if (addr > mm->layout.max_addr || mm->layout.max_addr - addr < WORD)
		return msn_fail(-EFAULT);
	if (!shared) {
		*out = (struct msn_futex_key){ MSN_FUTEX_PRIVATE, mm, addr,
					       NULL };
		return 0;
	}
	return msn_pass(shared_key(mm, addr, out));
}

bool msn_futex_key_same(const struct msn_futex_key *a,
			const struct msn_futex_key *b)
{
	return a->kind == b->kind && a->of == b->of && a->at == b->at;
}

uint64_t msn_futex_key_hash(const struct msn_futex_key *k)
{
	/* Odd constants, so that every bit of the input reaches the top. */
	uint64_t h = (uint64_t)(uintptr_t)k->of * UINT64_C(0x9e3779b97f4a7c15);

	h ^= (k->at + k->kind) * UINT64_C(0xbf58476d1ce4e5b9);
	h ^= h >> 31;
	h *= UINT64_C(0x94d049bb133111eb);
	return h ^ h >> 29;
}

void msn_futex_key_put(struct msn_futex_key *k)
{
	msn_identity_dec_ref(k->identity);
	k->identity = NULL;
}
