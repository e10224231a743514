/*
 * Stats: which outcomes the generator reached.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_TESTS_ORACLE_STATS_H
#define MSN_TESTS_ORACLE_STATS_H

#include "oracle/step.h"

/* Before anything else: makes counts that processes share. */
void stats_start(void);

/* Those of threads are counted apart. */
void stats_count(const struct step *s, const struct outcome *o);

/* A group was taken, or, with @why_not (a literal), passed over. */
void stats_count_group(const char *why_not);

/* Groups that were taken. */
unsigned stats_groups(void);

/* One line a call: how often, and how often with which outcome. */
void stats_print(FILE *to);

#endif /* MSN_TESTS_ORACLE_STATS_H */
