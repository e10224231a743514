/*
 * A mapping of a manifest in words.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "maps.h"

#include "mm/maps_line.h"
#include "range/access.h"

size_t msn_maps_text(const struct msn_manifest_mapping *map, char *out)
{
	return msn_maps_line(out, MSN_MAPS_LINE_MAX,
			     &(struct msn_maps_line){
				     .start = map->start,
				     .end = map->end,
				     .offset = map->offset,
				     .inode = map->inode,
				     .perms = map->perms,
				     .shared = map->shared,
				     .dev_major = map->dev_major,
				     .dev_minor = map->dev_minor,
				     .name = map->name,
			     });
}

const char *msn_maps_rights(const struct msn_manifest_mapping *map, char *out)
{
	out[0] = map->perms & MSN_ACCESS_READ ? 'r' : '-';
	out[1] = map->perms & MSN_ACCESS_WRITE ? 'w' : '-';
	out[2] = map->perms & MSN_ACCESS_EXEC ? 'x' : '-';
	out[3] = map->shared ? 's' : 'p';
	out[4] = '\0';
	return out;
}

const char *msn_maps_kind(const struct msn_manifest_mapping *map)
{
	switch (map->kind) {
	case MSN_MAPPING_ANON:
		return "anon";
	case MSN_MAPPING_FILE:
		return "file";
	case MSN_MAPPING_OBJECT:
		return "object";
	case MSN_MAPPING_KERNEL:
		return "kernel";
	}
	return "unknown";
}
