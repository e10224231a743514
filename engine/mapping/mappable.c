/*
 * Mappable dispatch: checks the promises of struct msn_mappable_ops on both
 * sides of each call, so that no implementation repeats them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "mapping/mappable.h"

#include "base/assert.h"
#include "base/error.h"

#include <errno.h>
#include <string.h>

static void assert_mapping(struct msn_addr_range ar, uint64_t offset)
{
	msn_assert(msn_addr_range_page_aligned(ar));
	msn_assert(msn_page_aligned(offset));
	msn_assert(offset + msn_addr_range_length(ar) >= offset);
}

int msn_mappable_add_mapping(struct msn_mappable *obj,
			     struct msn_mapping_space *ms,
			     struct msn_addr_range ar, uint64_t offset,
			     bool writable)
{
	int rc;

	msn_assert(!msn_addr_range_empty(ar));
	assert_mapping(ar, offset);
	if (!obj->ops->add_mapping)
		return 0;
	rc = obj->ops->add_mapping(obj, ms, ar, offset, writable);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

void msn_mappable_remove_mapping(struct msn_mappable *obj,
				 struct msn_mapping_space *ms,
				 struct msn_addr_range ar, uint64_t offset,
				 bool writable)
{
	msn_assert(!msn_addr_range_empty(ar));
	assert_mapping(ar, offset);
	if (obj->ops->remove_mapping)
		obj->ops->remove_mapping(obj, ms, ar, offset, writable);
}

int msn_mappable_copy_mapping(struct msn_mappable *obj,
			      struct msn_mapping_space *ms,
			      struct msn_addr_range src,
			      struct msn_addr_range dst, uint64_t offset,
			      bool writable)
{
	int rc;

	msn_assert(!msn_addr_range_empty(dst));
	assert_mapping(src, offset);
	assert_mapping(dst, offset);
	if (!obj->ops->copy_mapping)
		return 0;
	rc = obj->ops->copy_mapping(obj, ms, src, dst, offset, writable);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

/* Checks (2) to (5) and (7) to (9): what is wrong with one run alone. */
static const char *run_wrong(const struct msn_translate_result *q,
			     const struct msn_translation *run)
{
	if (msn_obj_range_empty(run->source))
		return "a translated run is empty";
	if (!msn_obj_range_page_aligned(run->source))
		return "a translated run is not page aligned";
	if (!run->file)
		return "a translated run has no file";
	if (!msn_page_aligned(run->offset))
		return "a translated run's file offset is not page aligned";
	if (!msn_obj_range_overlaps(run->source, q->required))
		return "a translated run lies outside the required range";
	if (!msn_obj_range_covers(q->optional, run->source))
		return "a translated run leaves the optional range";
	if ((run->perms & q->access) != q->access)
		return "a translated run does not permit the access";
	return NULL;
}

const char *msn_check_translate_result(const struct msn_translate_result *q)
{
	uint64_t reached = q->required.start;

	if (q->count > 0 &&
	    !msn_obj_range_contains(q->runs[0].source, q->required.start))
		return "the first translated run misses the required start";
	for (size_t i = 0; i < q->count; i++) {
		const char *wrong = run_wrong(q, &q->runs[i]);

		if (wrong)
			return wrong;
		if (i > 0 && q->runs[i].source.start != reached)
			return "translated runs do not touch each other";
		reached = q->runs[i].source.end;
	}
	if (q->why != 0 || (q->count > 0 && q->count == q->max))
		return NULL;
	if (q->count == 0)
		return "nothing was translated and no reason given";
	if (reached < q->required.end)
		return "translation stopped short without a reason";
	return NULL;
}

int msn_mappable_translate(struct msn_mappable *obj,
			   struct msn_obj_range required,
			   struct msn_obj_range optional, unsigned access,
			   struct msn_translation *out, size_t max, int *why)
{
	int n;

	msn_assert(!msn_obj_range_empty(required));
	msn_assert(msn_obj_range_page_aligned(required));
	msn_assert(msn_obj_range_covers(optional, required));
	msn_assert(msn_obj_range_page_aligned(optional));
	msn_assert(max > 0);

	*why = 0;
	n = obj->ops->translate(obj, required, optional, access, out, max, why);
	if (n < 0)
		return msn_pass(n);
	msn_assert((size_t)n <= max);
	msn_assert_null_slow(msn_check_translate_result(
		&(struct msn_translate_result){ .required = required,
						.optional = optional,
						.access = access,
						.runs = out,
						.count = (size_t)n,
						.max = max,
						.why = *why }));
	return n;
}

int msn_mappable_invalidate_unsavable(struct msn_mappable *obj)
{
	int rc = obj->ops->invalidate_unsavable
			 ? obj->ops->invalidate_unsavable(obj)
			 : 0;

	msn_assert(rc <= 0);
	return msn_pass(rc);
}

int msn_mappable_punch_hole(struct msn_mappable *obj, struct msn_obj_range r)
{
	int rc;

	msn_assert(!msn_obj_range_empty(r) && msn_obj_range_page_aligned(r));
	if (!obj->ops->punch_hole)
		return msn_fail(-EOPNOTSUPP);
	rc = obj->ops->punch_hole(obj, r);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}

int msn_mappable_check_mmap(struct msn_mappable *obj, bool shared,
			    unsigned perms, unsigned *max_perms)
{
	unsigned before = *max_perms;
	int rc;

	if (!obj->ops->check_mmap)
		return 0;
	rc = obj->ops->check_mmap(obj, shared, perms, max_perms);
	msn_assert(rc <= 0);
	msn_assert((*max_perms & ~before) == 0);
	return msn_pass(rc);
}

int msn_mappable_next_data(struct msn_mappable *obj, struct msn_obj_range r,
			   struct msn_obj_range *out)
{
	int rc;

	msn_assert(!msn_obj_range_empty(r) && msn_obj_range_page_aligned(r));
	if (!obj->ops->next_data) {
		*out = r;
		return 0;
	}
	rc = obj->ops->next_data(obj, r, out);
	msn_assert(rc <= 0 || rc == MSN_MAPPABLE_E_NO_DATA);
	msn_assert(rc || (!msn_obj_range_empty(*out) &&
			  msn_obj_range_page_aligned(*out) &&
			  msn_obj_range_covers(r, *out)));
	return msn_pass(rc);
}

int msn_mappable_next_allocated(struct msn_mappable *obj,
				struct msn_obj_range r,
				struct msn_obj_range *out, bool *written)
{
	int rc;

	msn_assert(!msn_obj_range_empty(r) && msn_obj_range_page_aligned(r));
	if (!obj->ops->next_allocated)
		return msn_fail(-EOPNOTSUPP);
	rc = obj->ops->next_allocated(obj, r, out, written);
	msn_assert(rc <= 0 || rc == MSN_MAPPABLE_E_NO_DATA);
	msn_assert(rc || (!msn_obj_range_empty(*out) &&
			  msn_obj_range_page_aligned(*out) &&
			  msn_obj_range_covers(r, *out)));
	return msn_pass(rc);
}

/* Asks the files behind the pages of @r, one translation after another. */
static int resident_by_file(struct msn_mappable *obj, struct msn_obj_range r,
			    uint8_t *vec)
{
	while (r.start < r.end) {
		struct msn_translation t;
		int why, rc;
		int n = msn_mappable_translate(obj, r, r, MSN_ACCESS_READ, &t,
					       1, &why);

		if (n < 0)
			return msn_pass(n);
		if (n == 0 && why < 0)
			return msn_pass(why);
		if (n == 0)
			break; /* there are no such pages */
		rc = msn_file_resident(t.file, msn_translation_file_range(&t),
				       vec);
		if (rc)
			return msn_pass(rc);
		vec += msn_obj_range_length(t.source) >> MSN_PAGE_SHIFT;
		r.start = t.source.end;
	}
	memset(vec, 0, msn_obj_range_length(r) >> MSN_PAGE_SHIFT);
	return 0;
}

int msn_mappable_resident(struct msn_mappable *obj, struct msn_obj_range r,
			  uint8_t *vec)
{
	int rc;

	msn_assert(!msn_obj_range_empty(r) && msn_obj_range_page_aligned(r));
	if (!obj->ops->resident)
		return msn_pass(resident_by_file(obj, r, vec));
	rc = obj->ops->resident(obj, r, vec);
	msn_assert(rc <= 0);
	return msn_pass(rc);
}
