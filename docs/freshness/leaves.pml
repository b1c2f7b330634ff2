/* The second level of the freshness protocol (docs/freshness.md, "Edges") as a model for Spin: a leaf below a worker.
 *
 * freshness.pml has the first level. Here a worker is what that model leaves of it: a row, a lease, beats and peeks that
 * bring what is committed, a cursor that it publishes. One write is made, by another process (OWN=0) or by the worker
 * itself (OWN=1), and a caller asks the leaf. Messages from the worker to the leaf travel in order; what the leaf says
 * back is read at once or later. Worker and leaf share one clock; the writer's may be faster by B ticks in a lease.
 *
 * What must hold: a decision of the leaf on a call that STARTED after the write was answered does not rest on a record
 * from before it.
 *
 * Macros: LEAF, OWN, FAULTS (losses of the feed, stops, losses of the socket, forks: so many together), L lease, M margin, B
 * lost ticks, REACH=f. Each NC_ macro switches one mechanism off: Spin must then find a stale permit.
 */
#ifndef LEAF
#define LEAF         /* `check` takes this model where a case names it */
#endif
#ifndef L
#define L 2
#endif
#ifndef M
#define M 1
#endif
#ifndef B
#define B 1
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef OWN
#define OWN 0
#endif
#ifndef Q
#define Q 4          /* messages on their way to the leaf; a worker waits while there is no room */
#endif
#define EMPTY 0
#define LEASE 1      /* val: ticks that are left of it */
#define CHANGED 2    /* forget the record */
#define REVOKE 3     /* forget everything, and the lease */
#define ANSWER 4     /* val: whether the record includes the write */
#define ROOM (n < Q)

bit committed; bit answered;           /* the write */
byte wst; byte rem; bit waits; bit wown;   /* its writer: 0 new, 1 committed, 2 waits, 3 done; ticks; for the row */
bit present; bit applied;              /* the worker's row, and whether it publishes that the write was applied */
bit reborn;                            /* its row is one that was registered after the first: nobody waits for it */
byte up;                               /* the worker's feed: 0 none, 1 registered, 2 has beaten, 3 stopping, 4 stopped */
byte lease; byte lag;                  /* of the worker: ticks by its clock; ticks that this clock lost within it */
bit out; byte age; bit snap;           /* a beat under way: ticks since it was sent; what its answer has seen */
bit knows; bit pub;                    /* the worker has dropped what the write changed; the next beat publishes that */
byte grant;                            /* ticks of the longest lease that the leaf was granted */
byte owed; bit owes;                   /* the leaf has not said that it forgot the write: ticks of its lease then */
bit revoked; byte number;              /* the leaf has not said that it gave up its lease; the number of that change */
bit linked;                            /* the socket, as the worker sees it */
byte kind[Q]; byte val[Q]; byte n;     /* messages on their way to the leaf */
bit sayforgot; bit saygone; byte gone; /* what the leaf says, on its way back; which change ended its lease */
bit holds; bit rec; byte llease;       /* the leaf: a record, whether it includes the write; ticks of its lease */
bit cholds; bit crec; byte clease;     /* the child of a fork (NC_FORK) */
byte cst; bit need;                    /* the caller of the leaf: 0 none, 1 started, 2 has looked at the lease */
byte faults;
#ifdef REACH
bit r_leaf_told; bit r_leaf_over; bit r_leaf_hit; bit r_leaf_released;
#define REACHED(f) f=1;
#else
#define REACHED(f)
#endif

inline put(k, v) { kind[n]=k; val[n]=v; n=n+1 }
inline pop() {
   kind[0]=kind[1]; val[0]=val[1]; kind[1]=kind[2]; val[1]=val[2]; kind[2]=kind[3]; val[2]=val[3];
   kind[3]=EMPTY; val[3]=0; n=n-1
}
inline clear() { n=0; kind[0]=0; kind[1]=0; kind[2]=0; kind[3]=0; val[0]=0; val[1]=0; val[2]=0; val[3]=0 }
#define DOWN(x) if :: x>0 -> x=x-1 :: else fi
#define LEASED(x) if :: kind[x]==LEASE && val[x]>0 -> val[x]=val[x]-1 :: else fi

/* whether no leaf can decide on what was before the write */
#ifdef NC_LEAF_EARLY
#define FORGOTTEN 1
#else
#define FORGOTTEN (!owes || owed==0)
#endif
#ifdef NC_NOT_RELEASED
#define RELEASED 1
#else
#define RELEASED (grant==0)
#endif
#ifdef NC_BEYOND
#define GRANTED (lease+2)
#else
#define GRANTED lease
#endif

/* the worker has learnt of the write: it drops, and tells */
inline learn() {
   if
   :: !knows ->
      knows=1;
      if
      :: linked -> put(CHANGED, 0); owes=1; owed=grant
      :: !linked && grant>0 -> owes=1; owed=grant
      :: else
      fi
   :: else
   fi
}
inline give_up() {
   lease=0; lag=0; out=0; age=0; snap=0;
   if :: linked -> number=(number+1)%8; put(REVOKE, number); revoked=1 :: else fi
}

init { atomic { present=1; up=1; linked=1 }
do
/* --- time: the writer's clock always goes; that of worker and leaf may lose a tick, B times in a lease ------------- */
:: atomic { wst==2 && rem>0 && lag<B && (lease>0 || out) -> rem=rem-1; lag=lag+1 }
:: atomic { (wst!=2 || rem>0) && (lease>0 || out || grant>0 || llease>0 || clease>0 || owed>0 || wst==2) ->
      if :: wst==2 && rem>0 -> rem=rem-1 :: else fi;
      DOWN(lease); DOWN(grant); DOWN(owed); DOWN(llease); DOWN(clease);
      LEASED(0); LEASED(1); LEASED(2); LEASED(3);
      if :: out && age<L -> age=age+1 :: else fi;
      if :: lease==0 && !out -> lag=0 :: else fi }

/* --- the writer ---------------------------------------------------------------------------------------------------- */
:: atomic { wst==0 && !OWN -> committed=1; wst=1 }
:: atomic { wst==0 && OWN && up==2 && lease>0 && ROOM -> committed=1; wown=1; wst=1; learn() }
:: atomic { wst==1 -> rem=L+M; waits=(present && !wown); wst=2 }
:: atomic { wst==2 && !wown && (!waits || applied || rem==0) -> answered=1; wst=3;
      if :: rem==0 -> REACHED(r_leaf_over) skip :: else REACHED(r_leaf_told) skip fi }
#ifdef NC_OWN_NOT_WAITED
:: atomic { wst==2 && wown -> answered=1; wst=3 }
#else
:: atomic { wst==2 && wown && FORGOTTEN -> answered=1; wst=3 }
#endif

/* --- the worker ---------------------------------------------------------------------------------------------------- */
:: atomic { (up==1 || up==2) && !out -> out=1; age=0; snap=committed;
      if :: present && pub && FORGOTTEN -> applied=1 :: else fi }
:: atomic { out && age<L && n+2<=Q ->
      if :: snap -> learn() :: else fi;
      lease=L-age; up=2; out=0; age=0;
      if :: snap -> pub=1 :: else fi; snap=0;
      if :: linked -> put(LEASE, GRANTED); revoked=0; if :: GRANTED>grant -> grant=GRANTED :: else fi :: else fi }
:: atomic { out && age>=L && ROOM -> give_up(); up=0; pub=0 }
:: atomic { up==2 && !out && lease>0 && committed && ROOM -> learn(); pub=1 }               /* a peek */
:: atomic { up==2 && pub && FORGOTTEN && present && !reborn -> applied=1 }                    /* its acknowledgement */
:: atomic { up>=1 && up<=2 && faults<FAULTS && ROOM -> faults=faults+1; give_up(); up=0; pub=0 }  /* the feed is lost */
:: atomic { up==0 && RELEASED -> REACHED(r_leaf_released)                                         /* registers anew */
      present=1; applied=0; waits=0; reborn=1; up=1; knows=committed; pub=knows; owes=0; owed=0 }
:: atomic { up==2 && faults<FAULTS && ROOM -> faults=faults+1; give_up(); up=3 }             /* a graceful stop */
:: atomic { up==3 && RELEASED -> present=0; waits=0; up=4 }
/* a last look under the lease, and the answer: nothing comes between. What it holds includes the write once it knows. */
:: atomic { up==2 && lease>0 && linked && n<Q-1 -> put(ANSWER, knows) }
:: atomic { sayforgot -> sayforgot=0; owes=0; owed=0 }
:: atomic { saygone -> saygone=0;
#ifdef NC_ANY_REVOCATION
      if :: revoked -> revoked=0; grant=0 :: else fi;
#else
      if :: revoked && gone==number -> revoked=0; grant=0 :: else fi;
#endif
      gone=0 }
/* the socket: the worker sees that it is closed; the leaf goes on until its lease is over, or until it sees it too */
:: atomic { linked && faults<FAULTS -> faults=faults+1; linked=0; clear(); sayforgot=0; saygone=0; gone=0; revoked=0;
#ifdef NC_CLOSED_IS_GONE
      grant=0; owes=0; owed=0
#endif
      }
:: atomic { !linked && llease==0 && grant==0 && !owes && !holds && n==0 && up==2 && lease>0 -> linked=1 }

/* --- the leaf ------------------------------------------------------------------------------------------------------ */
:: atomic { n>0 && kind[0]==CHANGED && !sayforgot ->
#ifdef NC_CONFIRM_FIRST
      sayforgot=1; kind[0]=5 }
:: atomic { n>0 && kind[0]==5 -> holds=0; rec=0; pop() }
#else
      holds=0; rec=0; sayforgot=1; pop() }
#endif
:: atomic { n>0 && kind[0]==REVOKE && !saygone && !sayforgot -> holds=0; rec=0; llease=0; saygone=1; gone=val[0]; pop() }
:: atomic { n>0 && kind[0]==LEASE -> llease=val[0]; pop() }
:: atomic { n>0 && kind[0]==ANSWER -> holds=1; rec=val[0]; pop() }
#ifdef NC_OUT_OF_ORDER
:: atomic { n>1 && kind[1]==LEASE && kind[0]!=LEASE -> llease=val[1]; kind[1]=kind[2]; val[1]=val[2]; kind[2]=kind[3];
      val[2]=val[3]; kind[3]=EMPTY; val[3]=0; n=n-1 }
#endif
:: atomic { !linked && (holds || llease>0) -> holds=0; rec=0; llease=0 }                     /* it sees that it is closed */
#ifdef NC_FORK
:: atomic { faults<FAULTS && llease>0 && holds -> faults=faults+1; cholds=holds; crec=rec; clease=L+L }
:: atomic { cst==1 && clease>0 && cholds -> assert(!need || crec); cst=0; need=0 }
#endif

/* --- its caller ---------------------------------------------------------------------------------------------------- */
:: atomic { cst==0 -> cst=1; need=answered }
#ifdef NC_NO_LEASE
:: atomic { cst==1 -> cst=2 }
#else
:: atomic { cst==1 && llease>0 -> cst=2 }
#endif
:: atomic { cst==2 && holds -> REACHED(r_leaf_hit) assert(!need || rec); cst=0; need=0 }
:: atomic { cst>=1 -> cst=0; need=0 }
#ifdef REACH
:: atomic { REACH -> assert(0) }
#endif
od }
