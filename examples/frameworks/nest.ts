import 'reflect-metadata'
import {
  type ArgumentsHost,
  type CanActivate,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  Get,
  Inject,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Param,
  Post,
  Req,
  Res,
  UseFilters,
  UseGuards,
} from '@nestjs/common'
import type { Request, Response } from 'express'
import { chatUploadRules, defaultStorage, documentPath, Storage, StorageError } from 'stowage'
import { createFileHandler, httpError, receiveUpload, serveFile, toNodeListener } from 'stowage/http'
import { mayEnter } from './may-enter.js'

/** Import it where files are needed: `constructor(@Inject(Storage) storage: Storage)`. */
@Module({ providers: [{ provide: Storage, useValue: defaultStorage }], exports: [Storage] })
export class StorageModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(toNodeListener(createFileHandler(defaultStorage))).forRoutes('/uploads/*path')
  }
}

@Catch(StorageError)
export class StorageErrorFilter implements ExceptionFilter {
  catch(error: StorageError, host: ArgumentsHost): void {
    const { status, headers, ...body } = httpError(error)
    host.switchToHttp().getResponse<Response>().status(status).set(headers).json(body)
  }
}

class Members implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { params, headers } = context.switchToHttp().getRequest<Request<{ room: string }>>()
    return mayEnter(params.room, headers.authorization)
  }
}

@Controller('rooms/:room/documents')
@UseGuards(Members)
@UseFilters(StorageErrorFilter)
export class DocumentsController {
  constructor(@Inject(Storage) private readonly storage: Storage) {}

  @Post()
  async upload(@Req() request: Request, @Param('room') room: string) {
    const { files } = await receiveUpload(this.storage, request, {
      ...chatUploadRules,
      name: ({ filename }) => documentPath(room, filename),
    })
    return { name: files[0].name, url: await this.storage.signedUrl(files[0].name) }
  }

  @Get(':filename')
  download(
    @Req() request: Request,
    @Res() response: Response,
    @Param() params: Record<string, string>,
  ): void {
    const name = documentPath(params.room ?? '', params.filename ?? '')
    toNodeListener((given) => serveFile(this.storage, name, given))(request, response)
  }
}

@Module({ imports: [StorageModule], controllers: [DocumentsController] })
export class AppModule {}
