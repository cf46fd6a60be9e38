/*
 * Accelerated migration: settings, what the peer can do, and what migration/
 * calls
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_NFV_H
#define MIGRATION_NFV_H

#include "exec/cpu-common.h"
#include "exec/memory.h"
#include "io/channel-socket.h"
#include "migration/vmstate.h"
#include "qapi/qapi-types-nfv.h"
#include "qom/object.h"

/* Settings */

/*
 * One switch a module, each a property of the migration object of the same
 * name, with '-' for '_'.  By default each is such that QEMU is stock.
 */
typedef struct NfvMigrationSettings {
    bool vmstate; /* save and load arrays of device state in bulk */
    bool vmdesc;  /* describe the device state in JSON, as stock does */
    bool popmap;  /* do not read or send pages that never held data */
    bool pcimap;  /* map PCI devices before the stop */
    bool policy;  /* switch over by the contract */
    bool heat;    /* hold back what the guest is writing to; needs policy */
    bool net;     /* send short messages at once */
    bool vcpu_sync; /* get and put the state of all vCPUs in parallel */
    bool postcopy;  /* post-copy after multifd, announced when it begins */
    bool early_discard; /* discard before the stop; needs postcopy */
    bool hot_push;  /* in post-copy, what is needed first goes first; heat */
    bool prefetch;  /* in post-copy, ask for what a sequence needs next */

    /* The contract; with policy only. */
    uint64_t max_downtime; /* ms that the guest may stand still; 0: none */
    /* ms from the start until the guest runs on the destination; 0: none */
    uint64_t deadline;
    NfvOnDeadline on_deadline;
} NfvMigrationSettings;

/*
 * The settings in force; cheap, from any thread, never NULL.  The switches do
 * not change while a migration runs in or out of this QEMU, so that both its
 * ends and all its threads see one value; setting one is refused then.  The
 * contract may change at any time.
 */
const NfvMigrationSettings *nfv_migration_settings(void);

/*
 * Replace them.  Main thread with the BQL, and while a migration runs nothing
 * but the contract changes; the properties are the way for everybody but them
 * and unit tests.
 */
void nfv_migration_settings_set(const NfvMigrationSettings *settings);

/*
 * Add the properties to the class of the migration object.  In rising order of
 * precedence their values come from the stock default, the machine type's
 * compat_props, -M (below), -global.
 */
void nfv_migration_class_init(ObjectClass *oc);

/*
 * Add each property to the class of a machine, too, as "migration-NAME": the
 * same value by another name.
 */
void nfv_migration_add_machine_properties(ObjectClass *oc);

/* What the peer can do */

/*
 * What a QEMU can do with what it receives.  A bit is never given another
 * meaning; the module that a bit belongs to is switched on where it is set.
 */
typedef enum NfvFeature {
    NFV_FEATURE_VMSTATE = 1 << 0, /* loads device state in bulk */
    NFV_FEATURE_POPMAP = 1 << 1,  /* does without holes, given their list */
    NFV_FEATURE_PCIMAP = 1 << 2,  /* maps PCI devices, given their list */
    NFV_FEATURE_POSTCOPY = 1 << 3, /* post-copy need not be announced early */
    NFV_FEATURE_POSTCOPY_RAM = 1 << 4, /* has that capability on */
    NFV_FEATURE_SAME_PAGES = 1 << 5, /* its RAM has the page sizes it was told */
    NFV_FEATURE_REPEATS = 1 << 6, /* loads arrays without their repeats */
    NFV_FEATURE_MASK = 0xffff,
} NfvFeature;

typedef enum NfvPeer {
    NFV_PEER_UNKNOWN, /* no return path, nothing switched on, or no answer yet
                       */
    NFV_PEER_STOCK,   /* or another version of this handshake */
    NFV_PEER_NFV,
} NfvPeer;

/* The features of this QEMU: those of the modules that are switched on. */
uint32_t nfv_migration_features(void);

/*
 * What the destination of the running migration is, and, if it is NFV, its
 * *@features.  The first call that may @wait gives it a second to answer, which
 * takes a round trip from the start of the migration.  Migration thread;
 * waiting without the BQL, which the destination's answer does not need but the
 * guest does.
 */
NfvPeer nfv_migration_peer(uint32_t *features, bool wait);

/* What the destination of the last migration was.  Any thread. */
NfvPeer nfv_migration_last_peer(void);

/* Called from migration/ */

/* Source: the return path is open.  Migration thread, no BQL. */
void nfv_handshake_start(QEMUFile *f);

/*
 * Source: a PONG has come.  True if it answers nfv_handshake_start(), and
 * nobody else waits for it.  Return path thread.
 */
bool nfv_handshake_receive(uint32_t pong);

/* Destination: the PONG for this @ping; 0: no answer.  Thread that loads. */
uint32_t nfv_handshake_answer(uint32_t ping);

/* Destination: whether the source is one of us.  Any thread. */
bool nfv_handshake_was_asked(void);

/*
 * Destination: whether it is, and post-copy that follows will be ended so that all
 * comes that either end has asked for.  Any thread, once RAM comes.
 */
bool nfv_handshake_may_postcopy(void);

/* Only for the two functions below.  They return how many elements they did. */
int nfv_vmstate_save_bulk(QEMUFile *f, const VMStateField *field,
                          const void *elements, int n);
int coroutine_mixed_fn nfv_vmstate_load_bulk(QEMUFile *f,
                                             const VMStateField *field,
                                             void *elements, int n);

/*
 * The element @i of @n of the array @field was done, and @next is the one behind
 * it.  After the first one, save or load those that follow.  Returns the last
 * that is done then; the interpreter does the rest.  Loading stops where the
 * stream ends or may have a subsection, because the interpreter decides about
 * those.  With @vmdesc it describes each element.
 */
static inline int nfv_vmstate_save(QEMUFile *f, const VMStateField *field,
                                   const void *next, int i, int n,
                                   const void *vmdesc)
{
    return i == 0 && n > 1 && !vmdesc && nfv_migration_settings()->vmstate ?
               nfv_vmstate_save_bulk(f, field, next, n - 1) :
               i;
}

static inline int coroutine_mixed_fn nfv_vmstate_load(QEMUFile *f,
                                                      const VMStateField *field,
                                                      void *next, int i, int n)
{
    return i == 0 && n > 1 && nfv_migration_settings()->vmstate ?
               nfv_vmstate_load_bulk(f, field, next, n - 1) :
               i;
}

/*
 * Destination: a device's regions are mapped between these two, and all become
 * visible at the end: QEMU renders its maps once.  Nothing in between may read
 * the device's mappings.  Thread that loads, with the BQL.
 */
static inline void nfv_vmstate_map_begin(void)
{
    if (nfv_migration_settings()->vmstate) {
        memory_region_transaction_begin();
    }
}

static inline void nfv_vmstate_map_end(void)
{
    if (nfv_migration_settings()->vmstate) {
        memory_region_transaction_commit();
    }
}

/*
 * Source: put what a destination expects in place of the JSON description, if
 * that was left out.  Thread that saves.
 */
void nfv_vmdesc_save(QEMUFile *f);

/* Channels */

/*
 * Both ends: a channel is connected, encrypted where it shall be, and carries
 * nothing yet.  Never fails.  Any thread.
 */
void nfv_net_channel(QIOChannel *ioc);

/* Source: let at most about @bytes wait in the socket.  Migration thread. */
void nfv_net_shorten_queue(QIOChannel *ioc, uint64_t bytes);

/* The socket below @ioc, or NULL if there is none; no reference is taken. */
QIOChannelSocket *nfv_net_socket(QIOChannel *ioc);

/* Records amid RAM */

/*
 * Among the flags of the RAM sections: a record follows, of a kind that the
 * destination said it knows.
 */
#define NFV_RAM_SAVE_FLAG_RECORD 0x400

/*
 * Destination: read the record that follows.  0, or negative after it reported
 * the error.  Thread that loads.
 */
int nfv_stream_load(QEMUFile *f);

/*
 * Source: send what the destination is to know before the first page.  Within
 * the first section of RAM, whose end holds back the multifd channels.  Dirty
 * logging is on.  Migration thread, no BQL.
 */
void nfv_stream_start(QEMUFile *f);

/* Destination: a migration, or a snapshot, comes in.  Thread that loads. */
void nfv_stream_load_setup(void);

/* Populated map */

/* Source: whether the page can be sent as zero without a look at it. */
bool nfv_popmap_is_zero(RAMBlock *rb, ram_addr_t offset);

/*
 * Source: post-copy begins, and every page that is still dirty has been
 * discarded on the destination.  Migration thread with the BQL, guest stopped.
 */
void nfv_popmap_postcopy(void);

/*
 * Source, in the recovery of post-copy: the dirty bitmap of @rb was made from
 * what the destination has not received.  Return path thread.
 */
void nfv_popmap_recover(RAMBlock *rb);

/*
 * Destination in post-copy: whether the page at @offset is a hole, which the
 * source will never send.  Any thread that RCU knows.
 */
bool nfv_popmap_is_absent(RAMBlock *rb, ram_addr_t offset);

/*
 * Destination in post-copy: place that page.  0, or negative after it reported
 * the error.  Fault thread.
 */
int nfv_popmap_place(RAMBlock *rb, ram_addr_t offset);

/* Destination: the source will send these pages.  Thread that loads. */
void nfv_popmap_discard(RAMBlock *rb, ram_addr_t start, uint64_t length);

/* PCI map */

/*
 * Destination: whether @d is a bridge that maps already what it will with this
 * configuration space.  Thread that loads.
 */
bool nfv_pcimap_keeps(PCIDevice *d, const uint8_t *config);

/* Heat */

/*
 * Source: the first round begins, and its dirty log was just synchronised.
 * Migration thread, no BQL.
 */
void nfv_heat_start(void);

/* Source: the log of @rb is about to be taken.  Migration thread. */
void nfv_heat_sync(RAMBlock *rb);

/*
 * Source: the first dirty page at or after the dirty page @page and before
 * @size that does not stay back; @size or more if there is none.
 */
unsigned long nfv_heat_next(RAMBlock *rb, unsigned long page,
                            unsigned long size);

/* Channels of a destination with multifd and a preempt channel.  Main thread. */

/*
 * Whether @ioc is the preempt channel.  Closes it if it is a channel of multifd's
 * that was not agreed on.
 */
bool nfv_channels_are_complete(QIOChannel *ioc);

/* Whether the migration begins, or goes on, with the one that has come. */
bool nfv_channels_may_start(bool main_channel);

/* Whether the preempt channel has yet to come. */
bool nfv_channels_lack_preempt(void);

/* Post-copy */

/*
 * Source: whether this is not the time to announce post-copy; then it is
 * announced when it begins.  Waits for the answer to the handshake.  Migration
 * thread, no BQL.
 */
bool nfv_postcopy_defers_advise(void);

/* Source: whether it was not announced at the beginning.  Migration thread. */
bool nfv_postcopy_is_late(void);

/*
 * Source: the dirty pages of @rb that the destination was not told to discard
 * before the stop, for g_free(); NULL: it was told nothing.  Migration thread,
 * guest stopped.
 */
unsigned long *nfv_postcopy_undiscarded(RAMBlock *rb);

/*
 * Source: whether the dirty log need not be cleared, because nobody writes to
 * it any more.  Thread that sends.
 */
bool nfv_postcopy_keeps_log(void);

/*
 * Provided by migration/ram.c: let @add set bits in the dirty bitmap of @rb; it
 * returns how many.  Migration thread.
 */
void ram_add_dirty_pages(RAMBlock *rb, uint64_t (*add)(RAMBlock *rb));

/*
 * Source: the guest waits for these @length bytes, which go now by the preempt
 * channel.  Returns for how many bytes of pages to do so, from @start on as
 * nfv_urgent_next() leads.  Thread that sends, with the mutex of the dirty bitmap.
 */
uint64_t nfv_urgent_sent(RAMBlock *rb, ram_addr_t start, uint64_t length);

/*
 * Source: the page to send there after the one before @page; beyond the block
 * there is none.  As above.
 */
unsigned long nfv_urgent_next(RAMBlock *rb, unsigned long page);

/*
 * Source: the guest waits for the page at @start, which goes now by the only
 * channel.  As above.
 */
void nfv_urgent_queued(RAMBlock *rb, ram_addr_t start);

/*
 * Source: true if *@rb and *@page have become a dirty page behind those, which
 * goes next.  Migration thread, with the mutex of the dirty bitmap.
 */
bool nfv_urgent_follow(RAMBlock **rb, unsigned long *page);

/*
 * Destination: whether what RAM holds is kept when post-copy is announced, early
 * or late: what is not right is discarded, sent, or a hole anyway.  Thread that
 * loads.
 */
bool nfv_postcopy_keeps_ram(void);

/*
 * Destination: the error of the stream @f, or of the preempt channel if that can
 * mean @f; 0 where all of post-copy has come.  After its next byte was read,
 * which is 0 if there is none.  Thread that loads.
 */
int nfv_pause_load_error(QEMUFile *f);

/*
 * Destination: whether the stream @f, which broke with @error, can be recovered
 * because the guest runs, or is to run, here.  Notes the error in @f, or clears it
 * where all of post-copy has come.  Waits until the devices are loaded, or cannot
 * be without a page.  Thread that loads RAM, or the devices.
 */
bool nfv_pause_is_possible(QEMUFile *f, int *error);

/*
 * Destination: whether the caller loads the devices of post-copy, while another
 * thread may have lost the return path.
 */
bool nfv_pause_loads_devices(void);

/*
 * Destination: whether a page must be written that came as zero and had nothing
 * before: in post-copy the guest would wait for it.  Thread that loads.
 */
bool nfv_postcopy_needs_zeroes(void);

/* Destination: the length of a request for the page at @start.  Fault thread. */
size_t nfv_prefetch_length(RAMBlock *rb, ram_addr_t start, size_t page_size);

/* Destination: @thread waits for the page at @address.  Fault thread. */
void nfv_stall_begin(RAMBlock *rb, uintptr_t address, uint32_t thread);

/* Destination: the page at @address is there.  Any thread. */
void nfv_stall_end(RAMBlock *rb, void *address);

/* Contract */

/* Source: a migration begins, and looks for its destination.  Main thread. */
void nfv_promise_begin(void);

/* The contract may have changed.  Main thread. */
void nfv_promise_changed(void);

/* Destination: all is loaded, and the guest waits for "cont".  Main thread. */
void nfv_promise_loaded(void);

/* Drain */

/*
 * Source: whether the multifd channels must be flushed and synchronised at the
 * end of this section of RAM.  True once.  Migration thread.
 */
bool nfv_drain_wants_flush(void);

/* Policy */

typedef enum NfvPolicyStep {
    NFV_POLICY_STOCK,    /* decide as stock QEMU does */
    NFV_POLICY_RESUME,   /* the step was made: look for errors, come again */
    NFV_POLICY_COMPLETE, /* stop the guest, or end post-copy */
    NFV_POLICY_POSTCOPY, /* stop the guest, and begin post-copy */
} NfvPolicyStep;

/*
 * Source: make one step of an active migration.  @may_switch: the destination
 * has no objection.  Migration thread, no BQL.
 */
NfvPolicyStep nfv_policy_step(struct MigrationState *s, bool may_switch);

/*
 * Source: QEMU looks at the clock every 64 host pages, and gives the policy a turn
 * every 50 ms.  Returns @i, or the next multiple of that if the last host page
 * was a huge one, of which @pages pages were sent.  Thread that sends.
 */
int nfv_policy_count(int i, int pages);

/*
 * Source: whether auto-converge must leave @cpu alone: with the policy on, a
 * real-time vCPU is never put to sleep.  Any thread.
 */
bool nfv_throttle_spares(const CPUState *cpu);

/*
 * Source, as a migration begins: false with an error if the capability
 * dirty-limit would put a vCPU to sleep that is real-time now, with the policy
 * on.  A vCPU that becomes real-time later is not seen.  Main thread, BQL.
 */
bool nfv_throttle_check(Error **errp);

#endif
