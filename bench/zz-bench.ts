import { DuckDBInstance } from '@duckdb/node-api';
import { readFileSync, openSync, readSync, fstatSync } from 'node:fs';
import { TELEMETRY_QUERIES, CLICKBENCH_QUERIES } from './scenarios/scan-queries.ts';
import { parse } from '../packages/dosql/src/sql/statement.ts';
import { planAnalytics } from '../packages/dosql/src/scan/plan.ts';
import { execute } from '../packages/dosql/src/scan/execute.ts';
import { Budget } from '../packages/dosql/src/scan/budget.ts';
import { openParquet } from '../packages/dosql/src/scan/parquet/index.ts';
const c = await (await DuckDBInstance.create(':memory:',{threads:'1'})).connect();
const pat=process.argv[2]??''; const rounds=Number(process.argv[3]??5);
function fileOf(path:string){const fd=openSync(path,'r');const size=fstatSync(fd).size;return {name:path,size,etag:'x',async read(o:number,l:number){const b=new Uint8Array(l);readSync(fd,b,0,l,o);return b;}}}
const show=(v:any):string=>{ if(v===null||v===undefined)return 'null'; if(typeof v==='bigint')return String(v); if(typeof v==='number')return Number.isInteger(v)?String(v):v.toPrecision(9); if(v?.micros!==undefined)return new Date(Number(v.micros/1000n)).toISOString(); if(v?.millis!==undefined)return new Date(Number(v.millis)).toISOString(); if(v?.days!==undefined)return new Date(v.days*864e5).toISOString().slice(0,10); if(v?.scale!==undefined)return show(v.toDouble()); const n=Number(v); return typeof v==='string'?v:String(v)};
let logs:number[]=[]; 
for(const q of [...TELEMETRY_QUERIES,...CLICKBENCH_QUERIES]){ if(!q.name.match(pat))continue;
 const path=`/tmp/eng/${q.table}.parquet`; const sql=q.sql("'"+path+"'"); const sqlx=q.sql('"tt"'); const dsql=(q.duckdb??q.sql)("'"+path+"'");
 const st=parse(sqlx)[0]!; let dt=Infinity,ot=Infinity; let dr:any,or:any; 
 try{
 for(let i=0;i<rounds;i++){
  let t=performance.now(); dr=await (await c.runAndReadAll(dsql)).getRows(); dt=Math.min(dt,performance.now()-t);
  t=performance.now(); const plan=planAnalytics(st,st.references.find(r=>r.name==="tt")!); if(!plan){or='DECLINED';break;} const budget=new Budget({rows:1e7}); const f=await openParquet(fileOf(path),budget); or=(await execute(plan,f,[],budget,{bigints:false})).rows; ot=Math.min(ot,performance.now()-t);
 }}catch(e){console.log(q.name,'ERR',String((e as any).stack).slice(0,400));continue;}
 let same='?'; if(or!=='DECLINED'){const a=dr.map((r:any)=>r.map(show).join('|')),b=or.map((r:any)=>r.map(show).join('|')); same=a.join('\n')===b.join('\n')?'=':(a.slice().sort().join()===b.slice().sort().join()?'~':'DIFF '+a[0]?.slice(0,80)+' <> '+b[0]?.slice(0,80));logs.push(Math.log(ot/dt));}
 console.log(q.name.padEnd(32),dt.toFixed(1).padStart(8),ot.toFixed(1).padStart(8),(ot/dt).toFixed(2).padStart(6),same);
}
console.log('geomean',Math.exp(logs.reduce((a,b)=>a+b,0)/logs.length).toFixed(3),'n',logs.length);
