/*
 * Post-copy: when and how the source switches to it
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_POSTCOPY_H
#define MIGRATION_NFV_POSTCOPY_H

/*
 * Why this migration does not switch to post-copy by itself, for a message;
 * NULL: it can, or it is not known yet.  A static string.  Any thread.
 */
const char *nfv_postcopy_obstacle(void);

/* Whether it has been asked to, and can.  Migration thread. */
bool nfv_postcopy_is_wanted(struct MigrationState *s);

/* One step towards it.  Migration thread, no BQL. */
NfvPolicyStep nfv_postcopy_switch(struct MigrationState *s, bool may_switch);

/* One step of it.  Migration thread, no BQL. */
NfvPolicyStep nfv_postcopy_step(struct MigrationState *s);

#endif
