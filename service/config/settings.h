/*
 * Settings: the table's look-ups.  Private to this component.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef MSN_CONFIG_SETTINGS_H
#define MSN_CONFIG_SETTINGS_H

#include "config/config.h"

#define MSN_CONFIG_SETTINGS 38

/* The place of a setting in the table. */
size_t msn_config_index(const struct msn_config_setting *s);

/* NULL: there is none. */
const struct msn_config_setting *msn_config_find(const char *section,
						 const char *name);
bool msn_config_has_section(const char *section);

#endif /* MSN_CONFIG_SETTINGS_H */
