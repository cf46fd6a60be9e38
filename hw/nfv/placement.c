/*
 * Placement: the threads of this QEMU, and the plan that is in force for them
 *
 * Copyright (c) 2026 the kvm4nfv authors
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/osdep.h"
#include <sched.h>
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/notify.h"
#include "qemu/thread.h"
#include "system/runstate.h"
#include "system/system.h"
#include "hw/qdev-core.h"
#include "hw/nfv/claim.h"
#include "hw/nfv/placement.h"
#include "hw/nfv/role.h"
#include "hw/nfv/tasks.h"
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
    bool fresh;     /* seen by one sweep only, and not placed yet */
    int owner;      /* as in NfvTask */
    char *error;
    bool real_time; /* by us */
    bool has_shown; /* a snapshot had @shown */
    NfvCounts shown;
    Notifier exit;
} Thread;

static struct {
    /*
     * Guards what follows; a leaf: nothing else is taken with it held.  Hands
     * on priority, because real-time threads take it when they start.
     */
    pthread_mutex_t lock;
    GHashTable *threads; /* tid -> Thread */
    NfvPlan *plan;       /* changes with the BQL held, too */
    char *root;
    GArray *shared; /* see NfvSnapshot */
    unsigned sweeps;
    bool uring;  /* the last sweep met a new worker of io_uring */
    bool warned; /* one warning for all refusals after start */
    /* Not guarded: */
    QemuSemaphore kick; /* wakes the sweeper */
} nfv;

static void lock(void)
{
    pthread_mutex_lock(&nfv.lock);
}

static void unlock(void)
{
    pthread_mutex_unlock(&nfv.lock);
}

static void thread_free(void *opaque)
{
    Thread *t = opaque;

    g_free(t->name);
    g_free(t->error);
    g_free(t);
}

static bool is_fifo(int tid)
{
    int policy, priority;

    return !nfv_sched_get_policy(tid, &policy, &priority) &&
           policy == SCHED_FIFO;
}

/*
 * Give @t what the plan says.  0, or a negative errno with the reason in
 * @t->error.  Lock held.
 */
static int place(Thread *t)
{
    NfvWanted wanted;
    const char *what;
    int ret;

    g_clear_pointer(&t->error, g_free);
    if (!nfv.plan || nfv.plan->refusal == NFV_REFUSAL_SANDBOX ||
        !nfv_plan_lookup(nfv.plan, t->role, t->vcpu, &wanted)) {
        return 0;
    }
    if (t->real_time && !wanted.policy) {
        /* Real-time was switched off: take back what we gave. */
        wanted.policy = true;
        wanted.priority = 0;
    }
    ret = nfv_sched_apply(t->tid, &wanted, &what);
    t->real_time = wanted.policy && wanted.priority && is_fifo(t->tid);
    if (!ret) {
        trace_nfv_place(t->tid, t->name, NfvRole_str(t->role),
                        find_first_bit(wanted.cpus.bits, NFV_CPUS),
                        wanted.policy ? wanted.priority : -1);
    } else if (ret != -ESRCH) {
        t->error = g_strdup_printf("%s refused: %s", what, g_strerror(-ret));
        trace_nfv_place_failed(t->tid, t->name, NfvRole_str(t->role), t->error);
    }
    return ret;
}

/* Runs in the thread that ends. */
static void thread_ended(Notifier *notifier, void *data)
{
    Thread *t = container_of(notifier, Thread, exit);

    lock();
    g_hash_table_remove(nfv.threads, GINT_TO_POINTER(t->tid));
    unlock();
}

/* Runs in each new QEMU thread, before its function. */
static void thread_started(const char *name)
{
    Thread *t = g_new0(Thread, 1);
    g_autofree char *error = NULL;

    t->pid = getpid();
    t->tid = qemu_get_thread_id();
    t->name = g_strdup(name);
    t->role = nfv_role_of_thread(name, &t->vcpu);
    t->hooked = true;
    t->exit.notify = thread_ended;
    qemu_thread_atexit_add(&t->exit);

    lock();
    /* A sweep may have come first. */
    g_hash_table_replace(nfv.threads, GINT_TO_POINTER(t->tid), t);
    place(t);
    if (t->error && !nfv.warned) {
        nfv.warned = true;
        error = g_strdup(t->error);
    }
    unlock();
    if (error) {
        warn_report("nfv: thread '%s' is not placed as planned: %s; 'info nfv' "
                    "shows all such threads",
                    name, error);
    }
}

/* A thread that the hook may not have announced.  Lock held. */
static void meet(const NfvTask *f)
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
        t->owner = f->owner;
        t->vcpu = -1;
        g_hash_table_insert(nfv.threads, GINT_TO_POINTER(t->tid), t);
        /* A new task of ours may be about to call the hook: wait for it. */
        t->fresh = !f->owner;
    } else if (t->fresh) {
        t->fresh = false;
        place(t);
    }
    /* A kernel thread may be met before it has given itself its name. */
    if (!t->hooked && g_strcmp0(t->name, f->comm)) {
        g_free(t->name);
        t->name = g_strdup(f->comm);
        t->role = f->role;
        if (!t->fresh) {
            place(t);
        }
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
    g_autoptr(GArray) found = nfv_tasks_new();
    bool complete = nfv_tasks_find(found, host);
    NfvCpuSet housekeeping;
    bool uring;

    lock();
    nfv.sweeps++;
    for (unsigned i = 0; i < found->len; i++) {
        meet(&g_array_index(found, NfvTask, i));
    }
    if (host && complete) {
        g_hash_table_foreach_remove(nfv.threads, is_gone, NULL);
    }
    uring = nfv.uring && nfv.plan;
    nfv.uring = false;
    if (uring) {
        housekeeping = nfv.plan->housekeeping;
    }
    unlock();
    if (uring) {
        /* It was placed, but workers come and go. */
        nfv_uring_confine(&housekeeping);
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

        lock();
        claim_listed();
        unlock();
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

/*
 * Kernel threads of what was just made, such as KVM's PIT, are placed before
 * -runas drops the privilege for it.
 */
static void machine_ready(Notifier *notifier, void *data)
{
    sweep(true);
}

static Notifier machine_ready_notifier = { .notify = machine_ready };

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
    /* A running vCPU stays where it is as long as that will do. */
    if (nfv.plan && nfv.plan->vcpu_auto && nfv.plan->vcpu_cpus->len >= needed) {
        return g_array_ref(nfv.plan->vcpu_cpus);
    }
    candidates = nfv_plan_candidates(host, wanted);
    return nfv_claim_some(root, candidates, needed, wanted, errp);
}

int nfv_config_priority(const NfvConfig *config)
{
    return MAX(config->vcpu_priority,
               MAX(config->iothread_priority, config->emulator_priority));
}

static void warn_refusal(const NfvPlan *plan)
{
    bool pinned = plan->refusal != NFV_REFUSAL_SANDBOX;

    if (plan->refusal) {
        warn_report("rt=%s: %s; %s", OnOffAuto_str(plan->rt_asked),
                    plan->refusal_what,
                    pinned ? "threads are pinned, but not real-time" :
                             "no thread is placed");
        info_report("To change that: %s", plan->refusal_remedy);
    }
}

/* What place() changes. */
typedef struct Undo {
    NfvSchedState state;
    bool alive, real_time;
    char *error;
} Undo;

/* Its id may have been given to somebody else since it was met.  Lock held. */
static bool is_still_there(const Thread *t)
{
    return t->hooked || nfv_task_is(t->tid, t->name, t->owner);
}

static void undo_placement(Thread *t, Undo *undo)
{
    if (undo->alive) {
        nfv_sched_restore(t->tid, &undo->state);
        t->real_time = undo->real_time;
        g_free(t->error);
        t->error = g_steal_pointer(&undo->error);
    }
}

/*
 * Place all threads.  If that fails for one of QEMU's own and @strict, undo it.
 * Lock held.
 */
static bool place_all(bool strict, Error **errp)
{
    guint count = 0, i;
    g_autofree void **tids =
        g_hash_table_get_keys_as_array(nfv.threads, &count);
    g_autofree Undo *undo = g_new0(Undo, count);
    bool failed = false;

    for (i = 0; i < count && !failed; i++) {
        Thread *t = g_hash_table_lookup(nfv.threads, tids[i]);

        if (!is_still_there(t) || nfv_sched_save(t->tid, &undo[i].state)) {
            continue;
        }
        undo[i].alive = true;
        undo[i].real_time = t->real_time;
        undo[i].error = g_strdup(t->error);
        t->fresh = false;
        failed = place(t) && t->error && strict &&
                 (t->hooked || t->role == NFV_ROLE_EMULATOR);
        if (failed) {
            error_setg(errp, "thread '%s' (%d) cannot be placed: %s", t->name,
                       t->tid, t->error);
        }
    }
    while (i--) {
        if (failed) {
            undo_placement(g_hash_table_lookup(nfv.threads, tids[i]), &undo[i]);
        }
        g_free(undo[i].error);
    }
    return !failed;
}

/* The plan in force keeps its claims; all others are given back.  Lock held. */
static void settle_claims(void)
{
    g_autoptr(GArray) none = g_array_new(false, false, sizeof(unsigned));

    nfv_claim_keep(nfv.plan ? nfv.plan->vcpu_cpus : none);
    if (nfv.plan) {
        claim_listed();
    }
}

/* Takes @plan's place on success; all threads are as before on failure. */
static bool replace_plan(NfvPlan *plan, Error **errp)
{
    NfvPlan *before = nfv.plan;
    bool done;

    nfv.plan = plan;
    /* While the machine is being made, a thread is reported, no more. */
    done = place_all(phase_check(PHASE_MACHINE_READY), errp);
    nfv.plan = done ? nfv_plan_ref(plan) : before;
    nfv.uring = done;
    if (done) {
        nfv_plan_unref(before);
    }
    return done;
}

static NfvPlan *make_plan(const NfvConfig *config, const NfvHost *host,
                          const NfvTopology *topology, Error **errp)
{
    g_autoptr(GArray) cpus =
        choose_vcpu_cpus(config, host, topology, nfv.root, errp);
    g_autoptr(NfvPlan) plan = NULL;

    plan = cpus ? nfv_plan_make(config, cpus, host, topology, errp) : NULL;
    if (plan && plan->refusal == NFV_REFUSAL_SANDBOX &&
        phase_check(PHASE_MACHINE_READY)) {
        error_setg(errp, "nfv-set-placement: %s", plan->refusal_what);
        return NULL;
    }
    return g_steal_pointer(&plan);
}

void nfv_placement_prepare(void)
{
    sweep(true);
}

bool nfv_placement_start(const NfvConfig *config, const NfvHost *host,
                         const NfvTopology *topology, const char *root,
                         Error **errp)
{
    g_autoptr(NfvPlan) plan = NULL;
    bool first = !nfv.plan, done;
    Error *err = NULL; /* not @errp: it may end the process, with the lock */
    QemuThread thread;

    lock();
    if (!nfv.root) {
        nfv.root = g_strdup(root);
        nfv.shared = g_array_new(false, false, sizeof(unsigned));
    }
    plan = make_plan(config, host, topology, &err);
    done = plan && replace_plan(plan, &err);
    settle_claims();
    unlock();
    if (!done) {
        error_propagate(errp, err);
        return false;
    }
    warn_refusal(plan);
    trace_nfv_plan(plan->rt, plan->refusal);
    if (first) {
        if (!phase_check(PHASE_MACHINE_READY)) {
            qemu_add_machine_init_done_notifier(&machine_ready_notifier);
        }
        qemu_add_vm_change_state_handler(vm_state_changed, NULL);
        qemu_thread_create(&thread, "nfv-sweep", sweeper, NULL,
                           QEMU_THREAD_DETACHED);
    }
    qemu_sem_post(&nfv.kick);
    return true;
}

NfvPlan *nfv_placement_plan(void)
{
    NfvPlan *plan;

    lock();
    plan = nfv.plan ? nfv_plan_ref(nfv.plan) : NULL;
    unlock();
    return plan;
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
    lock();
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
    unlock();
}

NfvSnapshot *nfv_placement_snapshot(void)
{
    NfvSnapshot *snapshot = g_new0(NfvSnapshot, 1);
    GHashTableIter iter;
    void *value;

    snapshot->threads = g_ptr_array_new_with_free_func(thread_state_free);
    snapshot->shared = g_array_new(false, false, sizeof(unsigned));

    sweep(true);
    lock();
    snapshot->plan = nfv.plan ? nfv_plan_ref(nfv.plan) : NULL;
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
    unlock();

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
        nfv_plan_unref(snapshot->plan);
        g_free(snapshot);
    }
}

/* Also in a forked child, where the one that it has belongs to the parent. */
static void init_lock(void)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setprotocol(&attr, PTHREAD_PRIO_INHERIT);
    pthread_mutex_init(&nfv.lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

/*
 * Before util/rcu.c's constructor, which starts the first thread.  On every
 * machine: whether it will be an nfv one is known only when threads exist
 * already, and without a plan the hook does no more than to remember the name.
 */
static void __attribute__((constructor(101))) nfv_placement_init(void)
{
    init_lock();
    qemu_sem_init(&nfv.kick, 0);
    nfv.threads = g_hash_table_new_full(NULL, NULL, NULL, thread_free);
    pthread_atfork(lock, unlock, init_lock);
    qemu_thread_set_start_hook(thread_started);
}
