/*
 * Scene: a root folder with files of a configuration, and a load of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 *
 *    scene_open(&s);
 *    scene_file(&s, "etc/memsnap/memsnapd.conf", "[log]\nlevel = debug\n");
 *    CHECK(scene_load(&s));
 *    EXPECT(s.config->log.level == MSN_LOG_DEBUG);
 *    scene_close(&s);
 */
#ifndef MSN_TESTS_CONFIG_SCENE_H
#define MSN_TESTS_CONFIG_SCENE_H

#include "config/config.h"

#include <stdbool.h>

#define ETC "etc/memsnap/memsnapd.conf"
#define LIB "usr/lib/memsnap/memsnapd.conf"

struct scene {
	char root[32];
	const char *environment[8]; /* NULL at the end */
	const char *argv[8];	    /* the program's name first */
	struct msn_config *config;
	struct msn_failure why;
	char problems[4096]; /* every one, a line each, without the root */
	unsigned problem_count;
};

void scene_open(struct scene *s);
void scene_close(struct scene *s);

/* Writes a file, and the folders above it. */
void scene_file(struct scene *s, const char *path, const char *text);

/* Loads anew, forgetting what was loaded before; is it good? */
bool scene_load(struct scene *s);

/* The same, handing out what it says; faults are not checked for. */
int scene_try(struct scene *s, struct msn_config **out);

/* Is a load of this [etc] file refused, with just this line? */
bool refused(struct scene *s, const char *text, const char *line);

/* The setting of that name. */
const struct msn_config_setting *setting(const char *section, const char *name);

#endif /* MSN_TESTS_CONFIG_SCENE_H */
