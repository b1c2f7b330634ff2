/* Several records in one decision (docs/freshness.md, "Reads") as a model for Spin.
 *
 * freshness.pml has one record, and shows that none is used that lacks an answered write. That is not enough for a
 * decision on two: write 0 (a suspension) changes record 0 and is answered, then write 1 (a grant) changes record 1. A
 * call that began before both may be judged as of before both, between them, or after both. If it rests on the entry of
 * before the suspension and on the person of after the grant, it permits what was permitted at no time.
 *
 * The first model's protocol stands here as what it shows: write 0 is answered once this process has dropped record 0 or
 * has no lease, and a process that gets a lease has dropped everything before. A record is a bit: whether it includes its
 * write. Each option of the loop is one step that nothing can interrupt; any time may pass between two.
 *
 * What must hold of each decision: if it rests on write 1, then also on write 0; and on write 0 if that was answered
 * before the call began.
 *
 * Macros: RECORDS names this model; REACH=f as in freshness.pml. Each NC_ macro switches one mechanism off: Spin must then
 * find a decision that is torn or stale.
 */
#ifndef RECORDS
#define RECORDS
#endif

bit committed[2];              /* the writes */
bit answered;                  /* write 0 */
bit lease;                     /* of this process */
bit knows;                     /* it has dropped record 0 because of write 0 */
bit has[2]; bit rec[2];        /* memory */
byte fl[2]; bit flm[2]; bit stale[2];  /* the read under way: 0 none, 1 sent, 2 done; what it read; marked stale */
bit expected[2]; bit arr[2]; bit arrm[2];  /* the call waits for this record; it has arrived, and what it includes */
bit remembers; bit on[2];      /* a remembered decision, and the records that it rests on */
byte cst; bit need;            /* the call: 0 none, 1 started, 2 waits for reads; write 0 was answered before it */
byte sst; bit sneed; bit sgot[2];  /* a call without a lease: 0 none, 1 started, 2 has read record 0, 3 both */
#ifdef REACH
bit r_after; bit r_between; bit r_again; bit r_recalled; bit r_read_strict;
#define REACHED(f) f=1;
#else
#define REACHED(f)
#endif

#define SOUND(mine, before, a, b) assert((!(b) || (a)) && (!(before) || (a)))

/* A change, or anything that may have changed: memory forgets it, and the read under way is overtaken. */
inline drop(i) {
   has[i]=0; rec[i]=0;
#ifndef NC_COPY              /* control: what a call has read so far stays, whatever changes meanwhile */
   arr[i]=0; arrm[i]=0;
#endif
   if :: fl[i]>0 -> stale[i]=1 :: else fi
}
/* Where a look finds a record: in memory, or among those that the call waited for. */
#define HELD(i) (has[i] || arr[i])
#define VALUE(i) (has[i] -> rec[i] : arrm[i])
inline end_call() { cst=0; need=0; expected[0]=0; expected[1]=0; arr[0]=0; arrm[0]=0; arr[1]=0; arrm[1]=0 }
inline begin(i) { if :: !HELD(i) -> expected[i]=1; if :: fl[i]==0 || stale[i] -> fl[i]=1; flm[i]=0; stale[i]=0 :: else fi
                  :: else fi }
#ifdef NC_STALE_ARRIVES      /* control: the call gets what it waited for although a change has overtaken the read */
#define ARRIVES(i) expected[i]
#else
#define ARRIVES(i) (expected[i] && !stale[i])
#endif
#define READ(i) \
 :: d_step { fl[i]==0 && !has[i] -> fl[i]=1; flm[i]=0; stale[i]=0 }   /* for another call */ \
 :: d_step { fl[i]==1 -> fl[i]=2; flm[i]=committed[i] } \
 :: d_step { fl[i]==2 -> if :: ARRIVES(i) -> arr[i]=1; arrm[i]=flm[i] :: else fi; \
             if :: !stale[i] -> has[i]=1; rec[i]=flm[i] :: else fi; fl[i]=0; flm[i]=0; stale[i]=0 } \
 :: d_step { has[i] -> has[i]=0; rec[i]=0 }                           /* the least used go */
#ifdef NC_REMEMBERED         /* control: a decision is remembered whatever became of the records that it rests on */
#define RECALLS remembers
#else
#define RECALLS (remembers && on[0]==VALUE(0) && on[1]==VALUE(1))
#endif
#ifdef NC_STATEMENTS         /* control: each statement of a read without a lease has its own snapshot */
#define SNAPSHOT(i) sgot[i]=committed[i]
#else
#define SNAPSHOT(i) skip
#endif

init {
end: do
/* --- the writes ----------------------------------------------------------------------------------------------------- */
:: d_step { !committed[0] -> committed[0]=1 }
:: d_step { committed[0] && !answered && (knows || !lease) -> answered=1 }
:: d_step { answered && !committed[1] -> committed[1]=1 }
/* --- the feed: what changed is dropped, in any order that beats and peeks may bring ---------------------------------- */
:: d_step { lease && committed[0] && !knows -> knows=1; drop(0) }
:: d_step { lease && committed[1] -> drop(1) }
:: d_step { lease -> lease=0 }
:: d_step { !lease -> drop(0); drop(1); knows=committed[0]; lease=1 }
/* --- memory ---------------------------------------------------------------------------------------------------------- */
READ(0)
READ(1)
/* --- a call under the lease: it looks, reads what is missing, and looks again; between look and answer nothing comes -- */
:: d_step { cst==0 -> cst=1; need=answered }
:: d_step { cst==1 && lease && HELD(0) && HELD(1) ->
      if
      :: RECALLS -> REACHED(r_recalled) SOUND(0, need, on[0], on[1])
      :: else ->
         SOUND(0, need, VALUE(0), VALUE(1)); remembers=1; on[0]=VALUE(0); on[1]=VALUE(1);
         if :: VALUE(0) && VALUE(1) -> REACHED(r_after) skip :: else fi;
         if :: VALUE(0) && !VALUE(1) -> REACHED(r_between) skip :: else fi
      fi;
      end_call() }
:: d_step { cst==1 && lease && !(HELD(0) && HELD(1)) -> begin(0); begin(1); cst=2 }
/* Record by record, as the code does it: it looks again when nothing that it asked for is under way. */
:: d_step { cst==2 && !(expected[0] && fl[0]>0 && !stale[0]) && !(expected[1] && fl[1]>0 && !stale[1]) ->
      if :: !(HELD(0) && HELD(1)) -> REACHED(r_again) skip :: else fi; cst=1 }
:: d_step { cst>0 -> end_call() }
/* --- a call without a lease: all its statements see one snapshot -------------------------------------------------------- */
:: d_step { sst==0 && !lease -> sst=1; sneed=answered }
:: d_step { sst==1 -> sst=2; sgot[0]=committed[0]; sgot[1]=committed[1] }
:: d_step { sst==2 -> sst=3; SNAPSHOT(1) }
:: d_step { sst==3 -> REACHED(r_read_strict) SOUND(1, sneed, sgot[0], sgot[1]); sst=0; sneed=0; sgot[0]=0; sgot[1]=0 }
#ifdef REACH
:: d_step { REACH -> assert(0) }
#endif
od }
