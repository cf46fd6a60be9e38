/*
 * Placement: the threads of this QEMU, and the plan that is in force for them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/notify.h"
#include "qemu/thread.h"
#include "system/runstate.h"
#include "hw/nfv/claim.h"
#include "hw/nfv/placement.h"
#include "hw/nfv/role.h"
#include "hw/nfv/uring.h"
#include "trace.h"

/*
 * How often threads are looked for that no hook announces, and how many such
 * rounds pass between looks beyond /proc/self.
 */
#define SWEEP_MS 1000
#define SWEEPS_PER_HOST 10

typedef struct Thread {
    /* that of the parent in what is left from before -daemonize forked */
    int pid;
    int tid;
    char *name;
    NfvRole role;
    int vcpu;
    /* announced by QEMU, and removed when it exits; else found by a sweep */
    bool hooked;
    unsigned sweep; /* last sweep that saw it, if not hooked */
    char *error;
    bool has_shown; /* a snapshot had @shown */
    NfvCounts shown;
    Notifier exit;
} Thread;

static struct {
    /* guards what follows; a leaf: nothing else is taken with it held */
    QemuMutex lock;
    GHashTable *threads; /* tid -> Thread */
    NfvPlan *plan;       /* set once */
    NfvHost *host;       /* set with plan */
    char *root;
    GArray *shared; /* see NfvSnapshot */
    unsigned sweeps;
    bool uring;  /* the last sweep met a new worker of io_uring */
    bool warned; /* one warning for all refusals after start */
    /* Not guarded: */
    QemuSemaphore kick; /* wakes the sweeper */
} nfv;

/* A thread that a walk through /proc came by. */
typedef struct Found {
    int tid;
    char *comm;
    NfvRole role;
    int owner; /* whom a kernel thread works for; 0 for a task of ours */
} Found;

static void thread_free(void *opaque)
{
    Thread *t = opaque;

    g_free(t->name);
    g_free(t->error);
    g_free(t);
}

/* Give @t what the plan says.  Lock held. */
static void place(Thread *t)
{
    NfvWanted wanted;
    const char *what;
    int ret;

    if (!nfv.plan || nfv.plan->refusal == NFV_REFUSAL_SANDBOX ||
        !nfv_plan_lookup(nfv.plan, t->role, t->vcpu, &wanted)) {
        return;
    }
    ret = nfv_sched_apply(t->tid, &wanted, &what);
    g_clear_pointer(&t->error, g_free);
    if (!ret) {
        trace_nfv_place(t->tid, t->name, NfvRole_str(t->role),
                        find_first_bit(wanted.cpus.bits, NFV_CPUS),
                        wanted.policy ? wanted.priority : -1);
        return;
    }
    if (ret == -ESRCH) {
        return;
    }
    t->error = g_strdup_printf("%s refused: %s", what, g_strerror(-ret));
    trace_nfv_place_failed(t->tid, t->name, NfvRole_str(t->role), t->error);
    if (!nfv.warned && t->hooked) {
        nfv.warned = true;
        warn_report("nfv: thread '%s' is not placed as planned: %s; 'info nfv' "
                    "shows all such threads",
                    t->name, t->error);
    }
}

/* Runs in the thread that ends. */
static void thread_ended(Notifier *notifier, void *data)
{
    Thread *t = container_of(notifier, Thread, exit);

    qemu_mutex_lock(&nfv.lock);
    g_hash_table_remove(nfv.threads, GINT_TO_POINTER(t->tid));
    qemu_mutex_unlock(&nfv.lock);
}

/* Runs in each new QEMU thread, before its function. */
static void thread_started(const char *name)
{
    Thread *t = g_new0(Thread, 1);

    t->pid = getpid();
    t->tid = qemu_get_thread_id();
    t->name = g_strdup(name);
    t->role = nfv_role_of_thread(name, &t->vcpu);
    t->hooked = true;
    t->exit.notify = thread_ended;
    qemu_thread_atexit_add(&t->exit);

    qemu_mutex_lock(&nfv.lock);
    /* A sweep may have come first. */
    g_hash_table_replace(nfv.threads, GINT_TO_POINTER(t->tid), t);
    place(t);
    qemu_mutex_unlock(&nfv.lock);
}

static char *read_comm(const char *dir, const char *tid)
{
    g_autofree char *path = g_strdup_printf("%s/%s/comm", dir, tid);
    char *comm;

    if (!g_file_get_contents(path, &comm, NULL, NULL)) {
        return NULL;
    }
    return g_strchomp(comm);
}

/* Nobody but the kernel can make a child of kthreadd, whose id is 2. */
static bool is_kernel_thread(const char *tid)
{
    g_autofree char *path = g_strdup_printf("/proc/%s/stat", tid);
    g_autofree char *stat = NULL;
    const char *rest;
    int ppid;

    if (!g_file_get_contents(path, &stat, NULL, NULL)) {
        return false;
    }
    rest = strrchr(stat, ')'); /* the end of the name; then " S PPID" */
    return rest && sscanf(rest, ") %*c %d", &ppid) == 1 && ppid == 2;
}

static void found_clear(void *opaque)
{
    g_free(((Found *)opaque)->comm);
}

/* The tasks of this process.  Without the lock: it takes its time. */
static void find_in_process(GArray *found)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/task", 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        Found f = { .role = NFV_ROLE_WORKER };
        int owner;

        if (qemu_strtoi(entry, NULL, 10, &f.tid)) {
            continue;
        }
        f.comm = read_comm("/proc/self/task", entry);
        if (!f.comm) {
            continue;
        }
        if (f.tid == getpid()) {
            f.role = NFV_ROLE_EMULATOR;
        } else {
            nfv_role_of_kernel_thread(f.comm, &f.role, &owner);
        }
        g_array_append_val(found, f);
    }
}

/*
 * Kernel threads that may work for this process, but are tasks of the kernel's
 * own.  Without the lock.
 */
static void find_on_host(GArray *found)
{
    g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
    const char *entry;

    while (dir && (entry = g_dir_read_name(dir))) {
        Found f = { 0 };

        if (!g_ascii_isdigit(*entry) || qemu_strtoi(entry, NULL, 10, &f.tid)) {
            continue;
        }
        f.comm = read_comm("/proc", entry);
        if (f.comm && nfv_role_of_kernel_thread(f.comm, &f.role, &f.owner) &&
            is_kernel_thread(entry)) {
            g_array_append_val(found, f);
        } else {
            g_free(f.comm);
        }
    }
}

/* A thread that the hook may not have announced.  Lock held. */
static void meet(const Found *f)
{
    Thread *t = g_hash_table_lookup(nfv.threads, GINT_TO_POINTER(f->tid));

    if (f->owner &&
        !g_hash_table_contains(nfv.threads, GINT_TO_POINTER(f->owner))) {
        return; /* somebody else's */
    }
    if (!t) {
        t = g_new0(Thread, 1);
        t->pid = getpid();
        t->tid = f->tid;
        t->name = g_strdup(f->tid == getpid() ? "main" : f->comm);
        t->role = f->role;
        t->vcpu = -1;
        g_hash_table_insert(nfv.threads, GINT_TO_POINTER(t->tid), t);
        place(t);
        nfv.uring |= g_str_has_prefix(f->comm, "iou-");
    }
    t->sweep = nfv.sweeps;
}

static gboolean is_gone(void *key, void *value, void *opaque)
{
    Thread *t = value;

    return t->pid != getpid() || (!t->hooked && t->sweep != nfv.sweeps);
}

/* Look for threads that no hook announces.  Any thread, without the lock. */
static void sweep(bool host)
{
    g_autoptr(GArray) found = g_array_new(false, false, sizeof(Found));

    bool uring;

    g_array_set_clear_func(found, found_clear);
    find_in_process(found);
    if (host) {
        find_on_host(found);
    }
    qemu_mutex_lock(&nfv.lock);
    nfv.sweeps++;
    for (unsigned i = 0; i < found->len; i++) {
        meet(&g_array_index(found, Found, i));
    }
    if (host) {
        g_hash_table_foreach_remove(nfv.threads, is_gone, NULL);
    }
    uring = nfv.uring && nfv.plan;
    nfv.uring = false;
    qemu_mutex_unlock(&nfv.lock);
    if (uring) {
        /* It was placed, but workers come and go. */
        nfv_uring_confine(&nfv.plan->housekeeping);
    }
}

/*
 * Claims are held so that vcpu-cpus=auto of another guest passes these CPUs by.
 * Lock held.
 */
static void claim_listed(void)
{
    g_array_set_size(nfv.shared, 0);
    for (unsigned i = 0; i < nfv.plan->vcpu_cpus->len; i++) {
        unsigned cpu = g_array_index(nfv.plan->vcpu_cpus, unsigned, i);
        g_autofree char *path = NULL;

        /*
         * A lock file that cannot be had is no reason to worry anybody: the
         * list is the user's.
         */
        if (nfv_claim(nfv.root, cpu, &path) == 0) {
            g_array_append_val(nfv.shared, cpu);
        }
    }
}

static void *sweeper(void *opaque)
{
    for (unsigned round = 0;; round++) {
        bool kicked = qemu_sem_timedwait(&nfv.kick, SWEEP_MS) == 0;

        qemu_mutex_lock(&nfv.lock);
        claim_listed();
        qemu_mutex_unlock(&nfv.lock);
        sweep(kicked || round % SWEEPS_PER_HOST == 0);
    }
    return NULL;
}

/*
 * vhost and others make their kernel threads when the guest starts to use a
 * device. BQL, also within the stop of a migration: nothing here may wait for
 * the lock, or walk.
 */
static void vm_state_changed(void *opaque, bool running, RunState state)
{
    qemu_sem_post(&nfv.kick);
}

static GArray *choose_vcpu_cpus(const NfvConfig *config, const NfvHost *host,
                                const NfvTopology *topology, const char *root,
                                Error **errp)
{
    unsigned needed = nfv_plan_cpus_needed(topology);
    unsigned wanted = topology->single_thread ? 1 : topology->max_cpus;
    g_autoptr(GArray) candidates = NULL;

    if (!config->vcpu_auto) {
        return g_array_ref(config->vcpu_cpus);
    }
    candidates = nfv_plan_candidates(host, wanted);
    return nfv_claim_some(root, candidates, needed, wanted, errp);
}

bool nfv_placement_start(const NfvConfig *config, const NfvTopology *topology,
                         const char *root, Error **errp)
{
    g_autofree NfvHost *host = nfv_host_read(root, config->vcpu_priority);
    g_autoptr(GArray) cpus = NULL;
    NfvPlan *plan;
    QemuThread thread;
    GHashTableIter iter;
    void *value;

    cpus = choose_vcpu_cpus(config, host, topology, root, errp);
    plan = cpus ? nfv_plan_make(config, cpus, host, topology, errp) : NULL;
    if (!plan) {
        return false;
    }
    if (plan->refusal) {
        g_autofree char *remedy = NULL;
        g_autofree char *what = nfv_refusal_describe(
            host, plan->refusal, plan->vcpu_priority, &remedy);
        bool pinned = plan->refusal != NFV_REFUSAL_SANDBOX;

        warn_report("rt=%s: %s; %s", OnOffAuto_str(plan->rt_asked), what,
                    pinned ? "threads are pinned, but not real-time" :
                             "no thread is placed");
        info_report("To change that: %s", remedy);
    }
    trace_nfv_plan(plan->rt, plan->refusal);

    sweep(true); /* the hook has announced all but the main thread */
    qemu_mutex_lock(&nfv.lock);
    nfv.plan = plan;
    nfv.host = g_steal_pointer(&host);
    nfv.root = g_strdup(root);
    nfv.shared = g_array_new(false, false, sizeof(unsigned));
    claim_listed();
    g_hash_table_iter_init(&iter, nfv.threads);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        place(value);
    }
    qemu_mutex_unlock(&nfv.lock);

    qemu_add_vm_change_state_handler(vm_state_changed, NULL);
    qemu_thread_create(&thread, "nfv-sweep", sweeper, NULL,
                       QEMU_THREAD_DETACHED);
    return true;
}

bool nfv_placement_check_vcpu(int index, Error **errp)
{
    ERRP_GUARD();
    const NfvPlan *plan = nfv.plan;

    /* One thread for all is placed already. */
    if (!plan || index < plan->vcpu_cpus->len || plan->single_thread) {
        return true;
    }
    error_setg(errp, "vcpu-cpus has %u host CPUs and none for vCPU %d",
               plan->vcpu_cpus->len, index);
    error_append_hint(errp, "Start QEMU with a longer vcpu-cpus list, one host "
                            "CPU for each of maxcpus.\n");
    return false;
}

static void thread_state_free(void *opaque)
{
    NfvThreadState *s = opaque;

    g_free(s->name);
    g_free(s->error);
    g_free(s);
}

static int compare_states(const void *a, const void *b)
{
    const NfvThreadState *x = *(NfvThreadState *const *)a;
    const NfvThreadState *y = *(NfvThreadState *const *)b;

    if (x->role != y->role) {
        return (int)x->role - (int)y->role;
    }
    return x->vcpu != y->vcpu ? x->vcpu - y->vcpu : x->tid - y->tid;
}

/* Add to @vcpus where a vCPU thread may run. */
static void ask_kernel(NfvThreadState *s, NfvCpuSet *vcpus)
{
    s->alive = !nfv_sched_get_cpus(s->tid, &s->cpus) &&
               !nfv_sched_get_policy(s->tid, &s->policy, &s->priority);
    s->has_counts = s->alive && nfv_counts_read(s->tid, &s->counts);
    if (s->alive && s->role == NFV_ROLE_VCPU) {
        bitmap_or(vcpus->bits, vcpus->bits, s->cpus.bits, NFV_CPUS);
    }
}

/* Each snapshot shows the counts since the one before. */
static void remember_counts(GPtrArray *threads)
{
    qemu_mutex_lock(&nfv.lock);
    for (int i = 0; i < threads->len; i++) {
        NfvThreadState *s = g_ptr_array_index(threads, i);
        Thread *t = g_hash_table_lookup(nfv.threads, GINT_TO_POINTER(s->tid));

        if (!t || !s->has_counts) {
            continue;
        }
        s->has_since_query = t->has_shown;
        s->since_query = nfv_counts_since(&s->counts, &t->shown);
        t->has_shown = true;
        t->shown = s->counts;
    }
    qemu_mutex_unlock(&nfv.lock);
}

NfvSnapshot *nfv_placement_snapshot(void)
{
    NfvSnapshot *snapshot = g_new0(NfvSnapshot, 1);
    GHashTableIter iter;
    void *value;

    snapshot->threads = g_ptr_array_new_with_free_func(thread_state_free);
    snapshot->shared = g_array_new(false, false, sizeof(unsigned));

    sweep(true);
    qemu_mutex_lock(&nfv.lock);
    snapshot->plan = nfv.plan;
    snapshot->host = nfv.host;
    if (nfv.plan) {
        claim_listed();
        g_array_append_vals(snapshot->shared, nfv.shared->data,
                            nfv.shared->len);
    }
    g_hash_table_iter_init(&iter, nfv.threads);
    while (g_hash_table_iter_next(&iter, NULL, &value)) {
        Thread *t = value;
        NfvThreadState *s = g_new0(NfvThreadState, 1);

        s->tid = t->tid;
        s->name = g_strdup(t->name);
        s->role = t->role;
        s->vcpu = t->vcpu;
        s->error = g_strdup(t->error);
        s->has_wanted =
            nfv.plan && nfv_plan_lookup(nfv.plan, t->role, t->vcpu, &s->wanted);
        g_ptr_array_add(snapshot->threads, s);
    }
    qemu_mutex_unlock(&nfv.lock);

    for (int i = 0; i < snapshot->threads->len; i++) {
        ask_kernel(g_ptr_array_index(snapshot->threads, i), &snapshot->vcpus);
    }
    remember_counts(snapshot->threads);
    snapshot->facts = nfv_facts_read(nfv.root ?: "", &snapshot->vcpus);
    g_ptr_array_sort(snapshot->threads, compare_states);
    return snapshot;
}

void nfv_snapshot_free(NfvSnapshot *snapshot)
{
    if (snapshot) {
        g_ptr_array_unref(snapshot->threads);
        g_array_unref(snapshot->shared);
        nfv_facts_free(snapshot->facts);
        g_free(snapshot);
    }
}

static void lock_for_fork(void)
{
    qemu_mutex_lock(&nfv.lock);
}

static void unlock_after_fork(void)
{
    qemu_mutex_unlock(&nfv.lock);
}

/*
 * Before util/rcu.c's constructor, which starts the first thread.  On every
 * machine: whether it will be an nfv one is known only when threads exist
 * already, and without a plan the hook does no more than to remember the name.
 */
static void __attribute__((constructor(101))) nfv_placement_init(void)
{
    qemu_mutex_init(&nfv.lock);
    qemu_sem_init(&nfv.kick, 0);
    nfv.threads = g_hash_table_new_full(NULL, NULL, NULL, thread_free);
    pthread_atfork(lock_for_fork, unlock_after_fork, unlock_after_fork);
    qemu_thread_set_start_hook(thread_started);
}
