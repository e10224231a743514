/*
 * memsnap maps: the mappings of a snapshot, as /proc/PID/maps lists them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/error.h"
#include "cmd.h"
#include "maps.h"
#include "mm/maps_line.h"
#include "output.h"
#include "refs.h"

static json_t *mapping_json(const struct msn_manifest_mapping *map)
{
	char rights[5];

	return json_pack(
		"{s:o, s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o}", "start",
		msn_json_address(map->start), "end", msn_json_address(map->end),
		"rights", msn_maps_rights(map, rights), "kind",
		msn_maps_kind(map), "offset", msn_json_count(map->offset),
		"dev_major", msn_json_count(map->dev_major), "dev_minor",
		msn_json_count(map->dev_minor), "inode",
		msn_json_count(map->inode), "name", msn_json_text(map->name));
}

static json_t *mappings_json(const struct msn_manifest *m)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < m->mapping_count; i++)
		if (json_array_append_new(array,
					  mapping_json(&m->mappings[i]))) {
			json_decref(array);
			array = NULL;
		}
	return json_pack("{s:o}", "mappings", array);
}

static int run(struct msn_cli *cli)
{
	msn_auto(msn_store_closep) struct msn_store *store = NULL;
	msn_auto(msn_manifest_freep) struct msn_manifest *m = NULL;
	static char line[MSN_MAPS_LINE_MAX];
	int rc;

	rc = msn_refs_store(cli, MSN_STORE_READ, &store);
	if (!rc)
		rc = msn_refs_load(cli, store, cli->argv[0], &m);
	if (rc)
		return msn_pass(rc);
	if (cli->json)
		return msn_json_print(mappings_json(m), &cli->why);
	for (size_t i = 0; i < m->mapping_count; i++)
		fwrite(line, 1, msn_maps_text(&m->mappings[i], line), stdout);
	return 0;
}

const struct msn_cmd msn_cmd_maps = {
	.name = "maps",
	.help = "list a snapshot's mappings as /proc/PID/maps does",
	.synopsis = "REF",
	.args_min = 1,
	.args_max = 1,
	.run = run,
};
