/*
 * One snapshot of a listing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "listing.h"

#include "output.h"
#include "range/range.h"

json_t *msn_listing_json(const struct msn_snapshot_info *s)
{
	const struct msn_manifest_stats *p = &s->stats;
	char created[MSN_VALUE_TEXT];

	return json_pack(
		"{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o}",
		"uid", msn_json_uid(s->uid), "name",
		s->name[0] ? msn_json_text(s->name) : json_null(), "parent",
		msn_json_uid(s->parent), "created",
		msn_text_time(s->created_ns, created), "origin",
		msn_json_text(s->origin), "mappings",
		msn_json_count(s->mapping_count), "mapped_bytes",
		msn_json_count(p->mapped << MSN_PAGE_SHIFT), "private_bytes",
		msn_json_count(p->private_pages << MSN_PAGE_SHIFT),
		"stored_bytes", msn_json_count(p->stored << MSN_PAGE_SHIFT),
		"inherited_bytes",
		msn_json_count(p->inherited << MSN_PAGE_SHIFT), "deduped_bytes",
		msn_json_count(p->deduped << MSN_PAGE_SHIFT), "zero_bytes",
		msn_json_count(p->zero << MSN_PAGE_SHIFT), "manifest_bytes",
		msn_json_count(s->manifest_bytes));
}

const char *msn_listing_name(const struct msn_snapshot_info *s, char *out)
{
	msn_text_uid(s->uid, out);
	if (s->name[0])
		snprintf(out, MSN_VALUE_TEXT, "%s", s->name);
	return out;
}
