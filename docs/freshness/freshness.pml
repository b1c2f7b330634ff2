/* The freshness protocol (docs/freshness.md) as a model for Spin. README.md beside it says how it is run.
 *
 * There is one process. Each option of its loop is one step that nothing can interrupt. Between two steps anything else may
 * happen, for any length of time: so a frozen process, a slow network or an unlucky schedule needs no step of its own.
 * Time is a step too: it counts running timers down, and may come at any moment.
 *
 * Replica 0 has everything: a feed, a lease, a cache, reads under way, a caller. Replica 1 has a feed and a row. Its cache
 * could only be seen by its own caller, so by symmetry nothing is lost; -DFULL gives it a cache and a caller all the same,
 * and -DONE leaves its feed out: without its row, writes are answered sooner, never later.
 *
 * A snapshot is the set of the writes that are committed in it, as bits. There is one record, and every write concerns it.
 * A record, too, is the set of the writes that it includes.
 *
 * What must hold: a decision on a call that STARTED after write w was answered rests on a record that includes w.
 *
 * Macros that add something:
 *   ACK       peeks and acknowledgements: a woken replica reads what is new without a beat, drops it, and tells the writer
 *   LATEACK   with ACK: an acknowledgement is a message, which may arrive after its incarnation ended
 *   GROUP     with NW=2: the two writes are one transaction of one process
 *   PIPE      the rows of replicas are read in the pipeline of the COMMIT, behind it; the client sees both at once
 *   FAILOVER  a synchronous standby is promoted; the old primary lives on, and connections to it may survive
 *   STRICT    with FAILOVER: a caller without a lease reads a server
 *   OWN_KNOWN, ACK_PROCESS   other ways to do a step, which hold too
 *   GHOST     the beat of an abandoned connection may still arrive
 *   CALLER    the caller is followed step by step (else its property is checked as a predicate of every state)
 *   REACH=f   the flag f (r_...) must be reached: "found" then means that the step is not dead
 * Macros that bound: NW writes, FAULTS, WCRASHES, L lease, M margin, B lost ticks, NOJAN no janitor, NOOWN writers that
 * belong to no replica. Each NC_ macro switches one mechanism off: Spin must then find a stale permit.
 */
#ifndef L
#define L 2          /* the lease, in ticks of the replica's clock */
#endif
#ifndef M
#define M 1          /* the margin, in ticks of the clock of whoever waits */
#endif
#ifndef B
#define B 1          /* the ticks that a replica's clock may lose unnoticed within one lease */
#endif
#ifndef FAULTS
#define FAULTS 2     /* how many connection losses, crashes and graceful stops, over both replicas */
#endif
#ifndef WCRASHES
#define WCRASHES 1   /* how many writers die after their commit and before their answer; each is repeated */
#endif
#ifndef NW
#define NW 2         /* how many writes, three at most */
#endif
#ifndef LW
#define LW L         /* the lease that writers and the janitor believe in */
#endif
#define DEADLINE (LW+M)
#define NONE 9

/* --- state: the database ------------------------------------------------------------------------------------------- */
byte mask;                    /* the committed writes */
bit  present[4]; byte applied[4];      /* table replica: slots 2r and 2r+1 are two incarnations of replica r */
#ifdef FAILOVER
bit  failed; byte omask;      /* the standby was promoted; what the old primary holds. The primary is server `failed`. */
#endif
byte acked;                   /* the writes that were answered to their client */
byte faults; byte wcrashes;   /* the part of the budgets that is used */

/* --- state: a replica ---------------------------------------------------------------------------------------------- */
bit  s[2]; byte fst[2];        /* its slot; its feed: 0 none, 1 idle, 2 beat sent, 3 its snapshot taken, 4 committed,
                                * 5 (a control), 6 stopping, 7 peek sent, 8 its snapshot taken */
bit  hascur[2]; byte cur[2];   /* its cursor */
byte lease[2]; byte llag[2];   /* ticks left by its own clock; ticks that this clock lost within this lease */
byte age[2];   byte blag[2];   /* ticks since the beat under way was sent, by its own clock; ticks lost since */
byte snap[2]; byte snapb[2]; bit ok[2];  /* the snapshot of the answer; one taken later (a control); row was updated */
bit  has[2]; byte rec[2];      /* the record in its cache */
byte fl[2]; byte flm[2]; bit stale[2];   /* the read under way: 0 none, 1 sent, 2 done; what it read; marked stale */
byte cst[2]; byte need[2]; byte hrec[2]; /* its caller: 0 none, 1 started, 2 checked the lease, 3 joined a read */
#ifdef FAILOVER
bit  srv[2];                   /* the server that its feed is connected to */
byte bsrv; bit fsrv;           /* replica 0: the server of its incarnation's last answered beat (2: none); that of the read */
bit  wsrv[NW];                 /* the server that a write was committed on */
#ifdef OWN_KNOWN
bit  wknown[NW];               /* whether a beat of the writer's incarnation was answered when the write began */
#endif
#endif
#ifdef STRICT
byte sst; byte sneed; byte sgot; bit ssrv;  /* a caller without a lease: 0 none, 1 started, 2 has read; from which server */
#endif
#ifdef NC_STRICT_BEAT
byte lsrv;                     /* the server of the last answered beat of any incarnation (3: none) */
#endif
#ifdef LATEACK
bit  ast[2]; byte aslot[2]; byte asnap[2];  /* an acknowledgement on its way: of which incarnation, with which snapshot */
#endif
#ifdef GHOST
bit  gst[2]; byte gslot[2]; byte gapp[2];   /* a beat on its way on an abandoned connection */
#endif

/* --- state: writers and the janitor -------------------------------------------------------------------------------- */
byte wst[NW]; byte wrem[NW]; byte waits[NW]; byte wloc[NW];
/* a writer: 0 new, 5 before its commit (controls), 1 committed at the server, 6 rows read behind the commit (PIPE),
 * 2 commit returned, 3 waits for the rows in `waits`, 4 answered, 7 died; ticks to its deadline; its replica */
byte jst; byte jslot; byte jrem; bit jtouch;  /* the janitor watches a row; ticks left; whether the row had a beat */
#ifdef REACH
bit r_fast; bit r_hit; bit r_join; bit r_jan; bit r_dead; bit r_ack; bit r_late; bit r_peek; bit r_strict; bit r_refused;
bit r_group;
#define REACHED(f) f=1;
#else
#define REACHED(f)
#endif

#ifdef NC_SHARED_ID          /* control: one id for all incarnations and for both processes */
#define ROW(r) (s[0])
#else
#define ROW(r) (2*(r)+s[r])
#endif
#ifdef FULL
#define TIMED(r) 1
#else
#define TIMED(r) ((r)==0)     /* nobody observes the lease of replica 1: no timers for it */
#endif
#define OUT(r) (fst[r]==2 || fst[r]==3 || fst[r]==4 || fst[r]==5)   /* a beat is under way */
#define CONNECTED(r) ((fst[r]>=1 && fst[r]<=4) || fst[r]>=7)
#define SUB(a,b) (((a) & ~(b)) == 0)

inline invalidate(r) { has[r]=0; rec[r]=0; if :: fl[r]>0 -> stale[r]=1 :: else fi }
inline nolease(r)  { lease[r]=0; llag[r]=0 }
inline endbeat(r)  { age[r]=0; blag[r]=0; snap[r]=0; snapb[r]=0; ok[r]=0 }
inline delrow(i)   { present[i]=0; applied[i]=0;
   waits[0] = waits[0] & ~(1<<(i));
#if NW>1
   waits[1] = waits[1] & ~(1<<(i));
#endif
#if NW>2
   waits[2] = waits[2] & ~(1<<(i));
#endif
}
inline endcall(r)  { cst[r]=0; need[r]=0; hrec[r]=0 }
#ifdef STRICT
inline endstrict() { sst=0; sneed=0; sgot=0; ssrv=0 }
#endif

/* --- which server --------------------------------------------------------------------------------------------------
 * Behind a synchronous standby that was promoted, the old primary commits nothing any more; it still answers reads. */
#ifdef FAILOVER
#define COMMITS(r) (srv[r]==failed)
#define SEEN(r) (srv[r]==failed -> mask : omask)
#define FOUND_SERVER(r) srv[r]=failed;
#ifdef NC_STRICT_BEAT
#define REMEMBER lsrv=bsrv;
#else
#define REMEMBER
#endif
#define HEARD(r) if :: (r)==0 -> bsrv=srv[r]; REMEMBER skip :: else fi;
#define FORGET_SERVER(r) if :: (r)==0 -> bsrv=2 :: else fi;
/* The feed notices late, or never, that its server was replaced; this loss costs nothing of the budget. */
#define CUT_OFF(r) :: d_step { failed && !srv[r] && CONNECTED(r) -> disconnect(r) }
#ifdef NC_READ_ANYWHERE      /* control: a read is stored whichever server answered it */
#define SAMESRV(r) 1
#else
#define SAMESRV(r) (fsrv==bsrv)
#endif
/* Whether the writer's own live incarnation need not be waited for: its memory was dropped, and what it reads from now on
 * comes from the server of its last answered beat. So that must be the server which has the write. */
#if defined(NC_OWN_ANYWHERE) /* control: whichever server its feed is connected to */
#define FORGOT(w) 1
#define MAYWRITE(w) 1
#elif defined(NC_OWN_BEFORE) /* control: the servers are compared when the write begins, and no beat yet counts as the same */
#define FORGOT(w) 1
#define MAYWRITE(w) (wloc[w]!=0 || bsrv==2 || bsrv==failed)
#elif defined(OWN_KNOWN)     /* no control: they are compared when the write begins, and a beat must have been answered */
#define FORGOT(w) (wloc[w]!=0 || wknown[w])
#define MAYWRITE(w) (wloc[w]!=0 || bsrv==2 || bsrv==failed)
#else
#define FORGOT(w) (wloc[w]!=0 || bsrv==wsrv[w])
#define MAYWRITE(w) 1
#endif
#ifdef OWN_KNOWN
#define WROTE(w) wknown[w]=(bsrv!=2);
#else
#define WROTE(w) wsrv[w]=failed;
#endif
#else
#define WROTE(w)
#define FORGOT(w) 1
#define MAYWRITE(w) 1
#define COMMITS(r) 1
#define SEEN(r) mask
#define FOUND_SERVER(r)
#define HEARD(r)
#define FORGET_SERVER(r)
#define CUT_OFF(r)
#define SAMESRV(r) 1
#endif
inline disconnect(r) { fst[r]=0; hascur[r]=0; cur[r]=0; endbeat(r); FORGET_SERVER(r) skip }

/* --- the answer of a beat or a peek: drops first, then the cursor, then (a beat's only) the lease ------------------ */
#ifdef NC_CURSOR_AFTER       /* control: the cursor is a snapshot taken after the read */
#define SAVEB(r) snapb[r]=mask;
#else
#define SAVEB(r)
#endif
inline extend(r) {
   if
   :: TIMED(r) ->
#ifdef NC_LEASE_END          /* control: the lease counts from the answer, not from before the beat was sent */
      lease[r]=L; llag[r]=0
#else
      if :: age[r]<L -> lease[r]=L-age[r]; llag[r]=blag[r] :: else -> lease[r]=0; llag[r]=0 fi
#endif
   :: else
   fi
}
#ifdef NC_SEQ                /* control: the cursor is the highest number seen, not a snapshot */
#define LOW(c) ((c)>=4 -> 7 : ((c)>=2 -> 3 : (c)))
#define FRESH(r) (snap[r] & ~LOW(cur[r]))
#else
#define FRESH(r) (snap[r] & ~cur[r])
#endif
inline apply(r) {
   if
   :: !hascur[r] ->
#ifndef NC_NO_CLEAR          /* control: the first beat of an incarnation does not drop the whole cache */
      invalidate(r);
#endif
      skip
   :: hascur[r] && FRESH(r) != 0 ->
#ifndef NC_NO_INVALIDATE     /* control: what changed is not dropped */
      invalidate(r);
#endif
      skip
   :: else
   fi;
#ifdef NC_CURSOR_AFTER
   cur[r]=snapb[r];
#else
   cur[r]=snap[r];
#endif
   hascur[r]=1;
}

/* --- time ---------------------------------------------------------------------------------------------------------- */
#ifdef NC_SUSPEND            /* control: the clock stands still while the machine sleeps, for any length of time */
#define LAGOK(r) (TIMED(r) && (lease[r]>0 || OUT(r)))
#else
#define LAGOK(r) (TIMED(r) && (lease[r]>0 || OUT(r)) && (lease[r]==0 || llag[r]<B) && (!OUT(r) || blag[r]<B))
#endif
inline step(r) { if :: lease[r]>0 -> lease[r]=lease[r]-1; if :: lease[r]==0 -> llag[r]=0 :: else fi :: else fi;
                 if :: TIMED(r) && OUT(r) && age[r]<L -> age[r]=age[r]+1 :: else fi }
inline lost(r) {
#ifndef NC_SUSPEND
                 if :: lease[r]>0 -> llag[r]=llag[r]+1 :: else fi; if :: OUT(r) -> blag[r]=blag[r]+1 :: else fi
#else
                 skip
#endif
               }
inline others() { byte k; k=0; do :: k<NW -> if :: wrem[k]>0 -> wrem[k]=wrem[k]-1 :: else fi; k=k+1 :: else -> break od; k=0;
                  if :: jrem>0 -> jrem=jrem-1 :: else fi }

/* --- the feed of one replica ---------------------------------------------------------------------------------------
 * Two slots for each replica are enough: a new incarnation takes the slot that is free, and the old row goes in the same
 * statement. A message that still carries the slot's former incarnation is dropped at that moment: the row of that
 * incarnation is gone, so nobody waits for it, and the next one to use the slot has, in fact, another id. */
#ifdef GHOST
#define GHOSTFREE(r) && !gst[r]
#else
#define GHOSTFREE(r)
#endif
#ifdef LATEACK
#define FORGET_ACK(r) if :: ast[r] && aslot[r]==ROW(r) -> ast[r]=0; aslot[r]=0; asnap[r]=0 :: else fi;
#else
#define FORGET_ACK(r)
#endif
#ifdef NC_SHARED_ID
#define CANREG(r) (fst[r]==0 && (r==0 || present[0]))
#define DOREG(r) if :: r==0 -> s[0]=0; present[0]=1; applied[0]=0 :: else fi; FOUND_SERVER(r)
#else
#define CANREG(r) (fst[r]==0 && !present[2*r+1-s[r]] GHOSTFREE(r))
#define DOREG(r) s[r]=1-s[r]; present[ROW(r)]=1; applied[ROW(r)]=0; FORGET_ACK(r) FOUND_SERVER(r)
#endif

#ifdef NC_LATE_REG           /* control: first lease before the registration is committed */
#define FEED_EXTRA(r) :: d_step { fst[r]==0 && !hascur[r] -> snap[r]=mask; apply(r); lease[r]=L; llag[r]=0; snap[r]=0 }
#define KEEPCUR(r) 1
#else
#define FEED_EXTRA(r)
#define KEEPCUR(r) 0
#endif

#ifdef NC_FROZEN             /* control: the feed stays in one REPEATABLE READ transaction */
#define TAKESNAP(r) (hascur[r] -> cur[r] : SEEN(r))
#else
#define TAKESNAP(r) SEEN(r)
#endif
#ifdef NC_BEAT_EARLY         /* control: the beat publishes the snapshot that it is only now reading */
#define BEATVAL(r) snap[r]
#else
#define BEATVAL(r) (hascur[r] -> cur[r] : 0)
#endif
#ifdef NC_NOROWCHECK         /* control: a beat that updated no row extends the lease all the same */
#define ROWOK(r) 1
#else
#define ROWOK(r) ok[r]
#endif

/* Registering again in the same process: the lease is given up first, then one statement deletes the old row and inserts
 * the new one. */
#ifdef NC_KEEP_LEASE         /* control: the lease is kept over a registration */
#define GIVENUP(r) 1
#else
#define GIVENUP(r) (lease[r]==0)
#endif
#ifdef NC_SHARED_ID
#define REREG(r)
#else
#define REREG(r) \
 :: d_step { fst[r]==0 && lease[r]>0 -> nolease(r) } \
 :: d_step { fst[r]==0 && GIVENUP(r) && present[ROW(r)] && !present[2*r+1-s[r]] GHOSTFREE(r) -> \
      delrow(ROW(r)); DOREG(r); fst[r]=1; hascur[r]=0; cur[r]=0 }
#endif
#define FEED(r) \
 :: d_step { CANREG(r) -> DOREG(r); fst[r]=1; if :: KEEPCUR(r) :: else -> hascur[r]=0; cur[r]=0 fi } \
 FEED_EXTRA(r) \
 REREG(r) \
 :: d_step { fst[r]==1 && TIMED(r) -> fst[r]=2; age[r]=0; blag[r]=0 } \
 :: d_step { (fst[r]==2 || (fst[r]==1 && !TIMED(r))) -> fst[r]=3; snap[r]=TAKESNAP(r) } \
 :: d_step { fst[r]==3 && COMMITS(r) -> fst[r]=4; SAVEB(r) \
      if :: present[ROW(r)] -> ok[r]=1; applied[ROW(r)]=BEATVAL(r); \
            if :: jst==1 && jslot==ROW(r) -> jtouch=1 :: else fi \
         :: else -> ok[r]=0 fi } \
 RECV(r) \
 :: d_step { fst[r]==4 && !ROWOK(r) -> disconnect(r) } \
 :: d_step { CONNECTED(r) && faults<FAULTS -> faults++; GHOSTSAVE(r) disconnect(r) } \
 CUT_OFF(r) \
 PEEK(r) \
 SEND(r) \
 STOP(r) \
 CRASH(r)

#ifdef NC_LEASE_FIRST        /* control: the lease is extended before the drops are done */
#define RECV(r) \
 :: d_step { fst[r]==4 && ROWOK(r) -> fst[r]=5; extend(r) } \
 :: d_step { fst[r]==5 -> fst[r]=1; apply(r); endbeat(r) }
#else
#define RECV(r) :: d_step { fst[r]==4 && ROWOK(r) -> fst[r]=1; apply(r); extend(r); endbeat(r); HEARD(r) skip }
#endif

#ifdef GHOST
#define GHOSTSAVE(r) if :: (fst[r]==2 || fst[r]==3) -> gst[r]=1; gslot[r]=ROW(r); gapp[r]=(hascur[r] -> cur[r] : 0) :: else fi;
#define GHOSTRUN(r) :: d_step { gst[r] -> if :: present[gslot[r]] -> applied[gslot[r]]=gapp[r]; \
      if :: jst==1 && jslot==gslot[r] -> jtouch=1 :: else fi :: else fi; gst[r]=0; gslot[r]=0; gapp[r]=0 }
#else
#define GHOSTSAVE(r)
#define GHOSTRUN(r)
#endif

/* --- peeks and acknowledgements (ACK) ------------------------------------------------------------------------------
 * A peek reads snapshot and news on the feed's connection: sent, snapshot taken at the server, applied. It drops and moves
 * the cursor; row and lease stay as they are. Only an incarnation that had its first beat peeks. */
#ifdef ACK
#ifdef NC_PEEK_FIRST         /* control: a peek may come before the first beat, and drops only what it lists: nothing */
#define MAYPEEK(r) 1
#else
#define MAYPEEK(r) hascur[r]
#endif
inline peeked(r) {
#if defined(NC_PEEK_NODROP)  /* control: the cursor moves, and nothing is dropped */
   cur[r]=snap[r];
#elif defined(NC_PEEK_AFTER) /* control: drops what the answer lists, takes a later snapshot as cursor */
   apply(r); cur[r]=mask;
#elif defined(NC_PEEK_FIRST)
   if :: hascur[r] -> apply(r) :: else -> cur[r]=snap[r]; hascur[r]=1 fi;
#else
   if :: FRESH(r)!=0 -> REACHED(r_peek) skip :: else fi;
   apply(r);
#endif
#ifdef NC_PEEK_LEASE         /* control: a peek extends the lease, though it wrote nothing */
   if :: TIMED(r) -> lease[r]=L; llag[r]=0 :: else fi;
#endif
   snap[r]=0
}
#define PEEK(r) \
 :: d_step { fst[r]==1 && MAYPEEK(r) -> fst[r]=7 } \
 :: d_step { fst[r]==7 -> fst[r]=8; snap[r]=SEEN(r) } \
 :: d_step { fst[r]==8 -> fst[r]=1; peeked(r) }
/* What an acknowledgement tells: the snapshot that is applied. */
#ifdef NC_ACK_EARLY          /* control: acknowledges what it is only now reading */
#define TELLS(r) (snap[r]!=0 -> snap[r] : cur[r])
#else
#define TELLS(r) cur[r]
#endif
#ifdef NC_ACK_UNREAD         /* control: an acknowledgement counts whatever its snapshot shows */
#define SHOWS(c,w) 1
#else
#define SHOWS(c,w) (((c)>>(w))&1)
#endif
#if defined(NC_ACK_ANY)      /* control: acknowledgements are counted, not matched with an incarnation */
#define STRUCK(w,i) (waits[w] & ~(waits[w]-1))
#elif defined(ACK_PROCESS)   /* no control: they are matched with a process; README.md says why that holds too */
#define STRUCK(w,i) (3<<(((i)/2)*2))
#else
#define STRUCK(w,i) (1<<(i))
#endif
#define HEARING(w) ((wst[w]==3 || wst[w]==6) && (waits[w]!=0))
#ifdef LATEACK
/* The message is sent at any time, is replaced by a later one (then it is lost), and arrives at any time, also twice. */
#define SEND(r) :: d_step { CONNECTED(r) && hascur[r] && TELLS(r)!=0 && !(ast[r] && aslot[r]==ROW(r) && asnap[r]==TELLS(r)) -> \
      ast[r]=1; aslot[r]=ROW(r); asnap[r]=TELLS(r) }
#define HEAR(r,w) :: d_step { HEARING(w) && ast[r] && SHOWS(asnap[r],w) && (waits[w] & STRUCK(w,aslot[r])) -> \
      REACHED(r_ack) if :: aslot[r]!=ROW(r) || !CONNECTED(r) -> REACHED(r_late) skip :: else fi; \
      waits[w]=waits[w] & ~STRUCK(w,aslot[r]) }
#else
/* The acknowledgement of a live incarnation reaches the writer at once, or never. */
#define SEND(r)
#define HEAR(r,w) :: d_step { HEARING(w) && CONNECTED(r) && hascur[r] && SHOWS(TELLS(r),w) && (waits[w] & STRUCK(w,ROW(r))) -> \
      REACHED(r_ack) waits[w]=waits[w] & ~STRUCK(w,ROW(r)) }
#endif
#else
#define PEEK(r)
#define SEND(r)
#define HEAR(r,w)
#endif

/* --- the end of a process ------------------------------------------------------------------------------------------ */
#ifdef NC_STOP_ORDER         /* control: a graceful stop deletes the row before the cache stops answering */
#define STOP(r) \
 :: d_step { fst[r]==1 && faults<FAULTS -> faults++; delrow(ROW(r)); fst[r]=6 } \
 :: d_step { fst[r]==6 -> nolease(r); hascur[r]=0; cur[r]=0; fst[r]=0 }
#else
#define STOP(r) \
 :: d_step { fst[r]==1 && faults<FAULTS -> faults++; nolease(r); hascur[r]=0; cur[r]=0; fst[r]=6 } \
 :: d_step { fst[r]==6 && COMMITS(r) -> delrow(ROW(r)); fst[r]=0 } \
 STOP_CUT(r)
#ifdef FAILOVER
#define STOP_CUT(r) :: d_step { fst[r]==6 && !COMMITS(r) -> fst[r]=0 }
#else
#define STOP_CUT(r)
#endif
#endif

inline kill_writers(r) { byte q; q=0;
   do :: q<NW -> if :: wloc[q]==r && (wst[q]==1||wst[q]==2||wst[q]==3||wst[q]==6) -> wst[q]=7; wrem[q]=0; waits[q]=0 :: else fi;
         q=q+1
      :: else -> break od; q=0 }
#ifdef STRICT
#define END_STRICT(r) if :: (r)==0 -> endstrict() :: else fi;
#else
#define END_STRICT(r)
#endif
#define CRASH(r) :: d_step { faults<FAULTS && (fst[r]>0 || has[r] || fl[r]>0 || lease[r]>0) -> faults++; \
      disconnect(r); nolease(r); \
      has[r]=0; rec[r]=0; fl[r]=0; flm[r]=0; stale[r]=0; endcall(r); END_STRICT(r) kill_writers(r) }

/* --- cache, single flight and caller of one replica ---------------------------------------------------------------- */
#ifdef NC_NO_STALE           /* control: a read that a change overtook is stored */
#define STORE(r) SAMESRV(r)
#else
#define STORE(r) (!stale[r] && SAMESRV(r))
#endif
#ifdef NC_NO_LEASE           /* control: the cache answers without a lease */
#define VALID(r) 1
#else
#define VALID(r) (lease[r]>0)
#endif
#if defined(NC_JOIN_LEASE)   /* control: joins a read without holding a lease */
#define JOINOK(r) (fl[r]>0 && !stale[r])
#elif defined(NC_JOIN_STALE) /* control: joins a read that a change has marked */
#define JOINOK(r) (fl[r]>0 && VALID(r))
#else
#define JOINOK(r) (fl[r]>0 && !stale[r] && VALID(r))
#endif
#ifdef NC_LOOKUP_FIRST       /* control: the look-up, something else may run, then the lease check */
#define HIT(r) \
 :: d_step { cst[r]==1 && has[r] -> hrec[r]=rec[r]; cst[r]=2 } \
 :: d_step { cst[r]==2 -> if :: VALID(r) -> assert(SUB(need[r],hrec[r])) :: else fi; endcall(r) }
#else
/* The model lets other steps run between lease check and look-up. The code awaits nothing there, which is narrower. */
#define HIT(r) \
 :: d_step { cst[r]==1 && VALID(r) -> cst[r]=2 } \
 :: d_step { cst[r]==2 -> if :: has[r] -> assert(SUB(need[r],rec[r])); REACHED(r_hit) endcall(r) :: else -> cst[r]=1 fi }
#endif
#ifdef FAILOVER
/* A miss may be read on a pooled connection to either server. */
#define READ(r) \
 :: d_step { fl[r]==1 -> fl[r]=2; flm[r]=mask; fsrv=failed } \
 :: d_step { fl[r]==1 && failed -> fl[r]=2; flm[r]=omask; fsrv=0 }
#define READ_DONE(r) fsrv=0;
#else
#define READ(r) :: d_step { fl[r]==1 -> fl[r]=2; flm[r]=mask }
#define READ_DONE(r)
#endif
#define CACHE(r) \
 :: d_step { fl[r]==0 && !has[r] -> fl[r]=1; stale[r]=0 } \
 READ(r) \
 :: d_step { fl[r]==2 -> if :: cst[r]==3 -> assert(SUB(need[r],flm[r])); REACHED(r_join) endcall(r) :: else fi; \
             if :: STORE(r) -> has[r]=1; rec[r]=flm[r] :: else fi; fl[r]=0; flm[r]=0; stale[r]=0; READ_DONE(r) skip } \
 :: d_step { has[r] -> has[r]=0; rec[r]=0 } \
 CALL(r)
#ifdef CALLER
#define CALL(r) \
 :: d_step { cst[r]==0 && acked!=0 -> cst[r]=1; need[r]=acked } \
 HIT(r) \
 :: d_step { cst[r]==1 && JOINOK(r) -> cst[r]=3 } \
 :: d_step { cst[r]==1 || cst[r]==3 -> endcall(r) }
#else
/* Two predicates of every state imply the caller's property: records only grow, so what holds at the lease check holds for
 * whatever the later look-up or the joined read returns. */
#define CALL(r) :: d_step { VALID(r) && ((has[r] && !SUB(acked,rec[r])) || \
      (fl[r]==2 && !stale[r] && SAMESRV(r) && !SUB(acked,flm[r]))) -> assert(0) }
#endif

/* --- a caller without a lease (STRICT) -----------------------------------------------------------------------------
 * It starts, reads a server, and counts what it read only if that server is proven: the read's own transaction ends with a
 * commit that writes, and that succeeds on the present primary alone. It reads only while the feed is not connected; a
 * feed that is connected and has no lease waits for a beat, and the caller with it. */
#ifdef STRICT
#if defined(NC_STRICT_ANYWHERE) /* control: no proof at all */
#define PROVEN 1
#elif defined(NC_STRICT_BEAT) /* control: it is enough that it is the server of the beat that was answered last */
#define PROVEN (ssrv==lsrv)
#elif defined(NC_STRICT_HANGING) /* control: the same, while the feed is connected and its beats do not commit */
#define PROVEN (ssrv==bsrv)
#else
#define PROVEN (ssrv==failed)
#endif
#ifdef NC_STRICT_HANGING
#define MAYREAD (lease[0]==0 && fst[0]!=0)
#else
#define MAYREAD (lease[0]==0 && fst[0]==0)
#endif
#define STRICTLY \
 :: d_step { sst==0 && acked!=0 -> sst=1; sneed=acked } \
 :: d_step { sst==1 && MAYREAD -> sst=2; sgot=mask; ssrv=failed } \
 :: d_step { sst==1 && MAYREAD && failed -> sst=2; sgot=omask; ssrv=0 } \
 :: d_step { sst==2 && PROVEN -> assert(SUB(sneed,sgot)); REACHED(r_strict) endstrict() } \
 :: d_step { sst==2 && !PROVEN -> REACHED(r_refused) endstrict() } \
 :: d_step { sst==1 -> endstrict() }
#else
#define STRICTLY
#endif

/* --- writers ------------------------------------------------------------------------------------------------------- */
/* The rows that the writer waits for: all but its own process's live incarnation. */
inline list(w) { byte i; waits[w]=0; i=0;
   do :: i<4 -> if :: present[i] -> waits[w]=waits[w]|(1<<i) :: else fi; i=i+1 :: else -> break od; i=0 }
inline not_own(w) { if :: wloc[w]<2 && fst[wloc[w]]>0 && FORGOT(w) -> waits[w]=waits[w] & ~(1<<ROW(wloc[w])) :: else fi }
#define UNACKED(w,i) (((waits[w]>>(i))&1) && present[i] && !((applied[i]>>(w))&1))
inline poll(w) { byte p; byte nx; nx=0; p=0;
   do :: p<4 -> if :: UNACKED(w,p) -> nx=nx|(1<<p) :: else fi; p=p+1 :: else -> break od; waits[w]=nx; p=0; nx=0 }
inline answer(w) { acked=acked|(1<<w); wst[w]=4; waits[w]=0; wrem[w]=0 }
inline own(w) {
#ifdef NC_OWN_NODROP         /* control: the writer's own cache is not dropped */
   skip
#else
#ifndef NC_OWN_EARLY
   if :: wloc[w]<2 -> invalidate(wloc[w]) :: else fi
#endif
#endif
}

#ifdef GROUP
/* One transaction holds writes 0 and 1: its steps up to the answers take both. Each is confirmed and answered alone. */
#define GROUPED(w) (w<2)
#define AT(w,n) (GROUPED(w) -> (w==0 && wst[0]==n && wst[1]==n) : wst[w]==n)
#define BIT(w) (GROUPED(w) -> 3 : (1<<(w)))
#define ALL(w,n) wst[w]=n; if :: GROUPED(w) -> wst[1]=n :: else fi
#define TC(w) wrem[w]=DEADLINE; if :: GROUPED(w) -> wrem[1]=DEADLINE :: else fi
#define LISTALL(w) list(w); if :: GROUPED(w) -> waits[1]=waits[0] :: else fi
#define NOT_OWN(w) not_own(w); if :: GROUPED(w) -> not_own(1) :: else fi
#define WRITTEN(w) mask=mask|BIT(w); WROTE(w) if :: GROUPED(w) -> WROTE(1) skip :: else fi; ALL(w,1)
#else
#define AT(w,n) (wst[w]==n)
#define BIT(w) (1<<(w))
#define ALL(w,n) wst[w]=n
#define TC(w) wrem[w]=DEADLINE
#define LISTALL(w) list(w)
#define NOT_OWN(w) not_own(w)
#define WRITTEN(w) mask=mask|BIT(w); WROTE(w) ALL(w,1)
#endif
#if defined(NC_LIST_BEFORE)  /* control: the rows are read before the commit */
#define BEGIN(w) :: d_step { AT(w,0) -> LISTALL(w); NOT_OWN(w); ALL(w,5) } :: d_step { AT(w,5) -> WRITTEN(w) }
#define RETURNED(w) :: d_step { AT(w,1) -> own(w); TC(w); ALL(w,3) }
#elif defined(NC_DEADLINE_EARLY) /* control: the deadline counts from before the commit */
#define BEGIN(w) :: d_step { AT(w,0) -> TC(w); ALL(w,5) } :: d_step { AT(w,5) -> WRITTEN(w) }
#define RETURNED(w) :: d_step { AT(w,1) -> own(w); ALL(w,2) }
#elif defined(NC_OWN_EARLY)  /* control: the writer's own cache is dropped before the commit */
#define BEGIN(w) \
 :: d_step { AT(w,0) -> if :: wloc[w]<2 -> invalidate(wloc[w]) :: else fi; ALL(w,5) } \
 :: d_step { AT(w,5) -> WRITTEN(w) }
#define RETURNED(w) :: d_step { AT(w,1) -> TC(w); ALL(w,2) }
#elif defined(PIPE)
/* COMMIT and the rows arrive together: own drop and the time of the deadline come after the rows were read. */
#define BEGIN(w) :: d_step { AT(w,0) && MAYWRITE(w) -> WRITTEN(w) }
#define RETURNED(w) :: d_step { AT(w,1) -> LISTALL(w); ALL(w,6) } :: d_step { AT(w,6) -> own(w); NOT_OWN(w); TC(w); ALL(w,3) }
#else
#define BEGIN(w) :: d_step { AT(w,0) && MAYWRITE(w) -> WRITTEN(w) }
#define RETURNED(w) :: d_step { AT(w,1) -> own(w); TC(w); ALL(w,2) }
#endif
#if defined(NC_NO_CONFIRM)   /* control: answered without waiting for anybody */
#define CONFIRM(w) :: d_step { wst[w]==2 -> answer(w) }
#else
#define CONFIRM(w) \
 :: d_step { wst[w]==2 -> list(w); not_own(w); wst[w]=3 } \
 :: d_step { wst[w]==2 && wrem[w]==0 -> answer(w) } \
 :: d_step { wst[w]==3 && (UNACKED(w,0)+UNACKED(w,1)+UNACKED(w,2)+UNACKED(w,3) < \
      ((waits[w]&1)+((waits[w]>>1)&1)+((waits[w]>>2)&1)+((waits[w]>>3)&1))) -> poll(w) } \
 HEAR(0,w) HEAR(1,w) \
 :: d_step { wst[w]==3 && waits[w]==0 && wrem[w]>0 -> REACHED(r_fast) BOTH(w) answer(w) } \
 :: d_step { wst[w]==3 && wrem[w]==0 -> if :: waits[w]!=0 -> REACHED(r_dead) skip :: else fi; answer(w) } \
 SECOND(w)
#endif
#if defined(GROUP) && NW>1
#define BOTH(w) if :: (w)==1 && wst[0]==4 -> REACHED(r_group) skip :: else fi;
#else
#define BOTH(w)
#endif
#ifdef NC_GROUP_SECOND       /* control: the second write of a transaction is answered when COMMIT returned */
#define SECOND(w) :: d_step { w==1 && (wst[w]==2 || wst[w]==3) -> answer(w) }
#else
#define SECOND(w)
#endif
#ifdef NC_RETRY              /* control: a repetition, which writes nothing, is answered without confirming */
#define AGAIN(w) :: d_step { wst[w]==7 -> answer(w) }
#else
#define AGAIN(w) :: d_step { wst[w]==7 -> wloc[w]=NONE; wrem[w]=DEADLINE; wst[w]=2 }
#endif
#ifdef GROUP
#define DIES(w) if :: GROUPED(w) && (wst[1-w]==1 || wst[1-w]==2 || wst[1-w]==3 || wst[1-w]==6) -> \
      wst[1-w]=7; wrem[1-w]=0; waits[1-w]=0 :: else fi;
#else
#define DIES(w)
#endif
#define WRITER(w) \
 BEGIN(w) RETURNED(w) CONFIRM(w) AGAIN(w) \
 :: d_step { (wst[w]==1 || wst[w]==2 || wst[w]==3 || wst[w]==6) && wcrashes<WCRASHES -> \
      wcrashes++; DIES(w) wst[w]=7; wrem[w]=0; waits[w]=0 }

/* --- the janitor: watches a row for lease and margin, deletes it if no beat came ----------------------------------- */
#ifdef NC_JANITOR_EAGER      /* control: it does not wait */
#define JWAIT 0
#else
#define JWAIT DEADLINE
#endif
#ifdef NC_JANITOR_NOCHECK    /* control: it does not compare the beat */
#define JSAME 1
#else
#define JSAME (!jtouch)
#endif
#define JAN(i) :: d_step { jst==0 && present[i] -> jst=1; jslot=i; jtouch=0; jrem=JWAIT }
#define JANITOR JAN(0) JAN(1) JAN(2) JAN(3) \
 :: d_step { jst==1 && jrem==0 -> if :: JSAME -> REACHED(r_jan) delrow(jslot) :: else fi; jst=0; jslot=0; jtouch=0 }

init {
   d_step { s[0]=1; s[1]=1;
#ifdef FAILOVER
      bsrv=2;
#endif
#ifdef NC_STRICT_BEAT
      lsrv=3;
#endif
   }
   /* Writers are interchangeable, so only ordered pairs. A writer that belongs to no replica (a command, a job) waits for
    * more rows than one on replica 1 does, so it adds nothing towards replica 0. */
   if :: wloc[0]=0 :: wloc[0]=1 fi;
#if NW>1
#ifdef GROUP
   wloc[1]=wloc[0];
#else
   if :: wloc[0]==0 -> wloc[1]=0 :: wloc[1]=1 fi;
#endif
#endif
#if NW>2
   wloc[2]=1;
#endif
#ifdef NOOWN
   wloc[0]=NONE;
#if NW>1
   wloc[1]=NONE;
#endif
#endif
end:   do
   :: d_step { 1 -> step(0); step(1); others() }
   :: d_step { LAGOK(0) -> lost(0); step(1); others() }
   :: d_step { LAGOK(1) -> step(0); lost(1); others() }
   :: d_step { LAGOK(0) && LAGOK(1) -> lost(0); lost(1); others() }
   FEED(0)
   GHOSTRUN(0)
#ifndef ONE
   FEED(1)
   GHOSTRUN(1)
#endif
   CACHE(0)
#ifdef FULL
   CACHE(1)
#endif
   STRICTLY
   WRITER(0)
#if NW>1
   WRITER(1)
#endif
#if NW>2
   WRITER(2)
#endif
#ifndef NOJAN
   JANITOR
#endif
#ifdef FAILOVER
   :: d_step { !failed -> failed=1; omask=mask }
#endif
#ifdef REACH
   :: d_step { REACH -> assert(0) }
#endif
   od
}
