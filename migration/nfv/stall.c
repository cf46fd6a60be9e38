/*
 * Stalls: how long the guest waited for pages that post-copy had to fetch
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/lockable.h"
#include "qemu/module.h"
#include "qemu/timer.h"
#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "migration/nfv.h"
#include "migration/ram.h"
#include "exec/ramblock.h"
#include "report.h"
#include "stall.h"
#include "trace.h"

static struct {
    QemuMutex lock;
    NfvStallTable *table; /* of the last post-copy that came in, or NULL */
    bool on;              /* it is under way; atomic */
    unsigned waiting;     /* pages, atomic: mostly nobody waits */
} stall;

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

void nfv_stall_start(void)
{
    QEMU_LOCK_GUARD(&stall.lock);
    nfv_stall_table_free(stall.table);
    stall.table = nfv_stall_table_new(current_machine->smp.max_cpus);
    qatomic_set(&stall.waiting, 0);
    qatomic_set(&stall.on, true);
}

void nfv_stall_stop(void)
{
    qatomic_set(&stall.on, false);
}

static int vcpu_of(uint32_t thread)
{
    CPUState *cpu;

    RCU_READ_LOCK_GUARD();
    CPU_FOREACH(cpu) {
        if (cpu->thread_id == thread) {
            return cpu->cpu_index;
        }
    }
    return NFV_STALL_OTHER;
}

static uint64_t page_of(const RAMBlock *rb, uintptr_t address)
{
    return QEMU_ALIGN_DOWN(address, rb->page_size);
}

static void ended(int who, uint64_t page, int64_t ns)
{
    trace_nfv_stall(who, page, ns);
}

static void end(uint64_t page)
{
    QEMU_LOCK_GUARD(&stall.lock);
    nfv_stall_table_end(stall.table, page, now_ns(), ended);
    qatomic_set(&stall.waiting, g_hash_table_size(stall.table->waiting));
}

void nfv_stall_begin(RAMBlock *rb, uintptr_t address, uint32_t thread)
{
    uint64_t page = page_of(rb, address);

    if (!qatomic_read(&stall.on)) {
        return;
    }
    WITH_QEMU_LOCK_GUARD(&stall.lock) {
        nfv_stall_table_begin(stall.table, page, vcpu_of(thread), now_ns());
        qatomic_set(&stall.waiting, g_hash_table_size(stall.table->waiting));
    }
    /* It may have come before we looked, and then nobody will tell us. */
    smp_mb();
    if (ramblock_recv_bitmap_test(rb, (void *)(uintptr_t)page)) {
        end(page);
    }
}

void nfv_stall_end(RAMBlock *rb, void *address)
{
    if (qatomic_read(&stall.on) && qatomic_read(&stall.waiting)) {
        end(page_of(rb, (uintptr_t)address));
    }
}

/* Report */

static NfvStallVcpuList *list_vcpus(const NfvStallTable *table)
{
    NfvStallVcpuList *head = NULL, **tail = &head;

    for (unsigned i = 0; i < table->vcpus; i++) {
        const NfvStallCount *count = &table->count[i];

        if (count->faults) {
            NfvStallVcpu *vcpu = g_new0(NfvStallVcpu, 1);

            vcpu->vcpu = i;
            vcpu->faults = count->faults;
            vcpu->sum = count->sum;
            vcpu->longest = count->longest;
            QAPI_LIST_APPEND(tail, vcpu);
        }
    }
    return head;
}

NfvStallInfo *nfv_stall_report(void)
{
    const NfvStallTable *table;
    NfvStallInfo *info;
    uint64List **tail;

    QEMU_LOCK_GUARD(&stall.lock);
    table = stall.table;
    if (!table) {
        return NULL;
    }
    info = g_new0(NfvStallInfo, 1);
    info->faults = table->all.faults;
    info->sum = table->all.sum;
    info->longest = table->all.longest;
    info->other_faults = table->count[table->vcpus].faults;
    info->vcpus = list_vcpus(table);
    tail = &info->histogram;
    for (int i = 0; i < NFV_STALL_BUCKETS; i++) {
        QAPI_LIST_APPEND(tail, table->histogram[i]);
    }
    return info;
}

static void stall_register(void)
{
    qemu_mutex_init(&stall.lock);
}
migration_init(stall_register);
