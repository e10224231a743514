/*
 * Windows of all host files together: a bound, and who gives one up.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 * A window costs address space and a mapping of the kernel, both of which this
 * process has only so many of.  One whose pages nobody refers to can go; those
 * are looked for only when room is short.  The list's lock and a file's are of
 * one rank, so a file is pinned by a reference while it is looked at and the
 * list's lock is let go.
 */
#include "hostfile/hostfile_internal.h"

#include "base/limits.h"

static struct {
	struct msn_mutex lock;
	struct msn_hostfile *first; /* under lock */
	atomic_size_t windows;	    /* of all files */
	atomic_size_t max;
} all = {
	.lock = { PTHREAD_MUTEX_INITIALIZER, MSN_RANK_FILE },
	.max = MSN_HOSTFILE_WINDOWS_TOTAL,
};

void msn_hostfile_enlist(struct msn_hostfile *hf)
{
	msn_lock_scope(&all.lock);
	hf->next = all.first;
	if (hf->next)
		hf->next->prev = hf;
	all.first = hf;
}

void msn_hostfile_delist(struct msn_hostfile *hf)
{
	bool last;

	{
		msn_lock_scope(&all.lock);
		if (hf->prev)
			hf->prev->next = hf->next;
		else
			all.first = hf->next;
		if (hf->next)
			hf->next->prev = hf->prev;
		last = !all.first;
	}
	if (last)
		msn_hostfile_aio_clear();
}

void msn_hostfile_set_windows_total(size_t max)
{
	atomic_store(&all.max, max ? max : MSN_HOSTFILE_WINDOWS_TOTAL);
}

bool msn_hostfile_take_slot(void)
{
	/* Relaxed: a count, it guards nothing. */
	if (atomic_fetch_add_explicit(&all.windows, 1, memory_order_relaxed) <
	    atomic_load_explicit(&all.max, memory_order_relaxed))
		return true;
	msn_hostfile_give_slots(1);
	return false;
}

void msn_hostfile_give_slots(size_t count)
{
	atomic_fetch_sub_explicit(&all.windows, count, memory_order_relaxed);
}

size_t msn_hostfile_close_unused(struct msn_hostfile *hf, bool every)
{
	size_t closed = 0;

	for (uint64_t nr = 0; msn_windows_next(&hf->windows, &nr); nr++) {
		struct msn_file_range r = { nr * MSN_WINDOW_BYTES,
					    (nr + 1) * MSN_WINDOW_BYTES };

		if (closed && !every)
			break;
		if (!msn_page_counts_is_free(&hf->counts, r))
			continue;
		msn_windows_close(&hf->windows, nr);
		closed++;
	}
	hf->window_count -= closed;
	msn_hostfile_give_slots(closed);
	return closed;
}

/* The first from @hf on that is not about to be freed, with a reference. */
static struct msn_hostfile *pin(struct msn_hostfile *hf)
{
	while (hf && !msn_hostfile_try_ref(hf))
		hf = hf->next;
	return hf;
}

static struct msn_hostfile *pin_next(struct msn_hostfile *hf)
{
	msn_lock_scope(&all.lock);
	return pin(hf ? hf->next : all.first);
}

void msn_hostfile_reclaim(void)
{
	struct msn_hostfile *hf = pin_next(NULL);

	while (hf) {
		struct msn_hostfile *next;

		{
			msn_lock_scope(&hf->lock);
			msn_hostfile_close_unused(hf, true);
		}
		next = pin_next(hf);
		msn_identity_dec_ref(&hf->identity);
		hf = next;
	}
}
