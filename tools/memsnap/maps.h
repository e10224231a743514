/*
 * Maps: the mappings of a snapshot as /proc/PID/maps would list them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TOOLS_MAPS_H
#define MSN_TOOLS_MAPS_H

#include "base/cleanup.h"
#include "format/manifest.h"

#include <stddef.h>

/* One line with its newline into MSN_MAPS_LINE_MAX bytes; its length. */
size_t msn_maps_text(const struct msn_manifest_mapping *map, char *out);

/* "rwxp" with dashes, into 5 bytes. */
const char *msn_maps_rights(const struct msn_manifest_mapping *map, char *out);

/* A stable lower-case word: "anon", "file", "object", "kernel". */
const char *msn_maps_kind(const struct msn_manifest_mapping *map);

#endif /* MSN_TOOLS_MAPS_H */
