"""The thread team's own program, as LLVM's text: the barrier, a worker's life, one run.

Apart from `team.py` because nothing here ever holds a Python object: it is what runs while Python
does not. All that the threads share lies in one block of memory, each thing in cache lines of its
own, at the offsets of the table below.

A run: the caller writes down what to run and counts the generation up; the workers see that and
run it too; each counts itself done; the caller waits for all. A worker that has spun for long
parks: it counts itself asleep, looks at the generation once more, and waits for the condition. The
caller, having counted up, looks whether anybody sleeps. Both orders are sequentially consistent, so
at least one of the two sees the other, and no wake-up is lost.
"""

from __future__ import annotations

from chainrule.compile.target import Target

__all__ = ["ARGUMENT", "ARGUMENTS", "SPINS", "barrier_text", "team_text"]

_OFFSETS = {
    "GENERATION": 0,
    "FUNCTION": 8,
    "DATA": 16,
    "THREADS": 24,
    "STOP": 32,
    "SPINS": 40,
    "WORKERS": 48,
    "DONE": 128,  # 128 apart: two lines, for processors fetch them in pairs
    "ASLEEP": 256,
    "BARRIER": 384,  # how many have come; 128 further, the generation
    "MUTEX": 640,  # pthread's own two have 64 bytes at most on the systems that LLVM is built for
    "CONDITION": 768,
    "ARGUMENTS": 896,  # each worker's: the block, the worker's index, its pthread_t
}
ARGUMENT = 24
ARGUMENTS = _OFFSETS["ARGUMENTS"]
SPINS = _OFFSETS["SPINS"]
_PATIENCE = 1000  # spins before one who waits offers its core to another thread


def barrier_text(target: Target) -> str:
    """`void @chainrule_barrier(ptr %barrier, i64 %threads)`, for the module of each program.

    Nobody leaves before all have come, and what each has written is seen by all. The last to come
    counts the generation up; the others spin on it. Should there be more threads than cores, they
    soon offer theirs to one that has yet to come.
    """
    return _relax_text(target) + _BARRIER


def team_text(target: Target) -> str:
    """The module of the team: `chainrule_prepare`, `_start`, `_run`, `_stop`, and `_pauses`."""
    text = _relax_text(target) + _TEAM.replace("@ARGUMENT\n", f"{ARGUMENT}\n")
    for name, offset in _OFFSETS.items():
        text = text.replace(f"@@{name}\n", f"getelementptr i8, ptr %team, i64 {offset}\n")
    return text


def _relax_text(target: Target) -> str:
    """`void @chainrule_relax(i64 %spins)`: what one who waits does between two looks."""
    pause, declaration = "", ""
    if target.is_x86:
        pause = "call void @llvm.x86.sse2.pause()"
        declaration = "declare void @llvm.x86.sse2.pause()"
    elif target.is_arm:
        pause = "call void @llvm.aarch64.hint(i32 1)"
        declaration = "declare void @llvm.aarch64.hint(i32)"
    offer = ""
    if not target.is_windows:
        offer = "%nobody = call i32 @sched_yield()"
        declaration += "\ndeclare i32 @sched_yield()"
    return f"""
{declaration}
define internal void @chainrule_relax(i64 %spins) noinline nounwind {{
  {pause}
  %long = icmp ugt i64 %spins, {_PATIENCE}
  br i1 %long, label %offer, label %end
offer:
  {offer}
  br label %end
end:
  ret void
}}
"""


_BARRIER = """
define internal void @chainrule_barrier(ptr %barrier, i64 %threads) noinline nounwind {
  %alone = icmp eq i64 %threads, 1
  br i1 %alone, label %end, label %arrive
arrive:
  %generation = getelementptr i8, ptr %barrier, i64 128
  %mine = load atomic i64, ptr %generation acquire, align 8
  %before = atomicrmw add ptr %barrier, i64 1 acq_rel, align 8
  %come = add i64 %before, 1
  %last = icmp eq i64 %come, %threads
  br i1 %last, label %open, label %wait
open:
  store atomic i64 0, ptr %barrier monotonic, align 8
  %next = add i64 %mine, 1
  store atomic i64 %next, ptr %generation release, align 8
  br label %end
wait:
  %spins = phi i64 [ 0, %arrive ], [ %more, %spin ]
  %now = load atomic i64, ptr %generation acquire, align 8
  %opened = icmp ne i64 %now, %mine
  br i1 %opened, label %end, label %spin
spin:
  call void @chainrule_relax(i64 %spins)
  %more = add i64 %spins, 1
  br label %wait
end:
  ret void
}
"""

_TEAM = """
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

define void @chainrule_pauses(i64 %count) {
  br label %loop
loop:
  %done = phi i64 [ 0, %0 ], [ %next, %loop ]
  call void @chainrule_relax(i64 0)
  %next = add i64 %done, 1
  %end = icmp uge i64 %next, %count
  br i1 %end, label %out, label %loop
out:
  ret void
}

define void @chainrule_prepare(ptr %team) {
  %mutex = @@MUTEX
  %condition = @@CONDITION
  call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  call i32 @pthread_cond_init(ptr %condition, ptr null)
  ret void
}

; Start the workers, as many as the system gives up to `wanted`; they are counted here, so that no
; interruption in Python comes between starting one and counting it.
define void @chainrule_start(ptr %team, i64 %wanted) {
entry:
  %workers.at = @@WORKERS
  %arguments = @@ARGUMENTS
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %index, %started ]
  store i64 %i, ptr %workers.at, align 8
  %enough = icmp uge i64 %i, %wanted
  br i1 %enough, label %out, label %start
start:
  %index = add i64 %i, 1
  %offset = mul i64 %i, @ARGUMENT
  %argument = getelementptr i8, ptr %arguments, i64 %offset
  %index.at = getelementptr i8, ptr %argument, i64 8
  %thread = getelementptr i8, ptr %argument, i64 16
  store ptr %team, ptr %argument, align 8
  store i64 %index, ptr %index.at, align 8
  %problem = call i32 @pthread_create(ptr %thread, ptr null, ptr @worker, ptr %argument)
  %well = icmp eq i32 %problem, 0
  br i1 %well, label %started, label %out
started:
  br label %next
out:
  ret void
}

define internal ptr @worker(ptr %argument) {
entry:
  %team = load ptr, ptr %argument, align 8
  %index.at = getelementptr i8, ptr %argument, i64 8
  %index = load i64, ptr %index.at, align 8
  %generation = @@GENERATION
  %spins.at = @@SPINS
  %spins = load i64, ptr %spins.at, align 8
  %asleep = @@ASLEEP
  %mutex = @@MUTEX
  %condition = @@CONDITION
  %stop.at = @@STOP
  %threads.at = @@THREADS
  %function.at = @@FUNCTION
  %data.at = @@DATA
  %done = @@DONE
  %barrier = @@BARRIER
  br label %idle
idle:
  %seen = phi i64 [ 0, %entry ], [ %new, %finished ]
  br label %look
look:
  %count = phi i64 [ 0, %idle ], [ %more, %spin ]
  %now = load atomic i64, ptr %generation acquire, align 8
  %called = icmp ne i64 %now, %seen
  br i1 %called, label %work, label %wait
wait:
  %patient = icmp ult i64 %count, %spins
  br i1 %patient, label %spin, label %park
spin:
  call void @chainrule_relax(i64 0)
  %more = add i64 %count, 1
  br label %look
park:
  call i32 @pthread_mutex_lock(ptr %mutex)
  %sleepers = atomicrmw add ptr %asleep, i64 1 seq_cst, align 8
  br label %drowsy
drowsy:
  %late = load atomic i64, ptr %generation seq_cst, align 8
  %woken = icmp ne i64 %late, %seen
  br i1 %woken, label %wake, label %sleep
sleep:
  call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %drowsy
wake:
  %others = atomicrmw sub ptr %asleep, i64 1 seq_cst, align 8
  call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %work
work:
  %new = phi i64 [ %now, %look ], [ %late, %wake ]
  %stop = load i64, ptr %stop.at, align 8
  %go.on = icmp eq i64 %stop, 0
  br i1 %go.on, label %run, label %leave
run:
  %threads = load i64, ptr %threads.at, align 8
  %takes.part = icmp ult i64 %index, %threads
  br i1 %takes.part, label %part, label %finished
part:
  %function = load ptr, ptr %function.at, align 8
  %data = load ptr, ptr %data.at, align 8
  call void %function(ptr %data, i64 %index, i64 %threads, ptr %barrier)
  br label %finished
finished:
  %finishers = atomicrmw add ptr %done, i64 1 release, align 8
  br label %idle
leave:
  ret ptr null
}

; Call the workers: what they need to know is written down already.
define internal void @call_up(ptr %team) {
  %generation = @@GENERATION
  %asleep = @@ASLEEP
  %mutex = @@MUTEX
  %condition = @@CONDITION
  %before = atomicrmw add ptr %generation, i64 1 seq_cst, align 8
  %sleepers = load atomic i64, ptr %asleep seq_cst, align 8
  %awake = icmp eq i64 %sleepers, 0
  br i1 %awake, label %end, label %wake
wake:
  call i32 @pthread_mutex_lock(ptr %mutex)
  call i32 @pthread_cond_broadcast(ptr %condition)
  call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %end
end:
  ret void
}

define void @chainrule_run(ptr %team, ptr %function, ptr %data, i64 %wanted) {
entry:
  %function.at = @@FUNCTION
  %data.at = @@DATA
  %threads.at = @@THREADS
  %workers.at = @@WORKERS
  %done = @@DONE
  %barrier = @@BARRIER
  %workers = load i64, ptr %workers.at, align 8
  %all = add i64 %workers, 1
  %too.many = icmp ugt i64 %wanted, %all
  %threads = select i1 %too.many, i64 %all, i64 %wanted
  store ptr %function, ptr %function.at, align 8
  store ptr %data, ptr %data.at, align 8
  store i64 %threads, ptr %threads.at, align 8
  store atomic i64 0, ptr %done monotonic, align 8
  call void @call_up(ptr %team)
  call void %function(ptr %data, i64 0, i64 %threads, ptr %barrier)
  br label %wait
wait:
  %spins = phi i64 [ 0, %entry ], [ %more, %spin ]
  %finished = load atomic i64, ptr %done acquire, align 8
  %ready = icmp eq i64 %finished, %workers
  br i1 %ready, label %end, label %spin
spin:
  call void @chainrule_relax(i64 %spins)
  %more = add i64 %spins, 1
  br label %wait
end:
  ret void
}

; Send the workers home, and wait until they have gone.
define void @chainrule_stop(ptr %team) {
entry:
  %stop.at = @@STOP
  %workers.at = @@WORKERS
  %arguments = @@ARGUMENTS
  %workers = load i64, ptr %workers.at, align 8
  store i64 1, ptr %stop.at, align 8
  call void @call_up(ptr %team)
  br label %next
next:
  %i = phi i64 [ 0, %entry ], [ %more, %join ]
  %more = add i64 %i, 1
  %end = icmp eq i64 %i, %workers
  br i1 %end, label %out, label %join
join:
  %offset = mul i64 %i, @ARGUMENT
  %argument = getelementptr i8, ptr %arguments, i64 %offset
  %thread.at = getelementptr i8, ptr %argument, i64 16
  %thread = load i64, ptr %thread.at, align 8
  call i32 @pthread_join(i64 %thread, ptr null)
  br label %next
out:
  ret void
}
"""
